# SPDX-License-Identifier: Apache-2.0
"""Serving a topic: the public methods of an object answer the messages of the same names."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import oslo_messaging
from oslo_log import log as logging

from accelpool import errors
from accelpool.db import session
from accelpool.rpc import transport

LOG = logging.getLogger(__name__)


def _answering(method: Callable[..., Any]) -> Callable[..., Any]:
    """Drop the context argument (it is this thread's current context); our own errors are answers."""

    @functools.wraps(method)
    def answer(_context: Any, **arguments: Any) -> Any:
        try:
            with session.availability():
                return method(**arguments)
        except errors.AccelpoolError as error:
            if error.status >= 500:
                LOG.warning('%s: %s', method.__name__, error.detail)
            error.kwargs = {'field': error.field}  # type: ignore[attr-defined]  # oslo.messaging sends it along
            raise oslo_messaging.ExpectedException from error

    return answer


class _Endpoint:
    """What oslo.messaging dispatches to."""

    target = oslo_messaging.Target(version=transport.VERSION)

    def __init__(self, service: object) -> None:
        for name, method in inspect.getmembers(service, inspect.ismethod):
            if not name.startswith('_'):
                setattr(self, name, oslo_messaging.expose(_answering(method)))


def start(topic: str, host: str, service: object, *, threads: int) -> oslo_messaging.MessageHandlingServer:
    """Serve the public methods of an object on a topic; end with ``stop()`` and then ``wait()``.

    :param host: the server's name on the topic
    :param threads: messages handled at a time
    """
    server = oslo_messaging.get_rpc_server(
        transport.get(), oslo_messaging.Target(topic=topic, server=host), [_Endpoint(service)],
        serializer=transport.SERIALIZER, access_policy=oslo_messaging.ExplicitRPCAccessPolicy)
    server.start(override_pool_size=threads)
    return server
