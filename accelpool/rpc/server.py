# SPDX-License-Identifier: Apache-2.0
"""Serving a topic: an endpoint's public methods answer the messages of the same name."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import oslo_messaging
from oslo_log import log as logging

from accelpool import errors
from accelpool.rpc import transport

LOG = logging.getLogger(__name__)


Method = TypeVar('Method', bound=Callable[..., Any])


def remote(method: Method) -> Method:
    """Mark a method as callable over the bus."""
    exposed: Method = oslo_messaging.expose(method)
    return exposed


def _answering(method: Callable[..., Any]) -> Callable[..., Any]:
    """Drop the context argument (it is this thread's current context); our own errors are answers."""

    @functools.wraps(method)
    def answer(_context: Any, **arguments: Any) -> Any:
        try:
            return method(**arguments)
        except errors.AccelpoolError as error:
            if error.status >= 500:
                LOG.warning('%s: %s', method.__name__, error.detail)
            error.kwargs = {'field': error.field}  # type: ignore[attr-defined]  # oslo.messaging sends it along
            raise oslo_messaging.ExpectedException from error

    return answer


class _Endpoint:
    """What oslo.messaging dispatches to: the remote methods of a service object."""

    target = oslo_messaging.Target(version=transport.VERSION)

    def __init__(self, service: object) -> None:
        for name, method in inspect.getmembers(service, inspect.ismethod):
            if hasattr(method, 'exposed'):
                setattr(self, name, _answering(method))


def start(topic: str, host: str, service: object, *, threads: int) -> oslo_messaging.MessageHandlingServer:
    """Serve the :func:`remote` methods of a service on a topic; stop with ``stop()`` and ``wait()``.

    :param host: the server's name on the topic
    :param threads: messages handled at a time
    """
    server = oslo_messaging.get_rpc_server(
        transport.get(), oslo_messaging.Target(topic=topic, server=host), [_Endpoint(service)],
        serializer=transport.SERIALIZER, access_policy=oslo_messaging.ExplicitRPCAccessPolicy)
    server.start(override_pool_size=threads)
    return server
