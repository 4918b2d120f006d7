# SPDX-License-Identifier: Apache-2.0
"""What one service asks of another.  A cast returns at once; a call waits for the answer.

Errors of ``accelpool.errors`` that the other side raises arrive as themselves (show ``detail``).  When the
bus or the other side does not answer in time, ServiceUnavailable is raised; a lost cast is made good by the
reconciler.

Services of two releases may run at once.  Every message carries the version that brought its method or newest argument
(``since``), so a peer of the former release takes all that it knows; what it does not know is ServiceUnavailable here
if ``[rpc] version_cap`` says so, or when the peer refuses.
"""

import functools
import os
from typing import Any

import oslo_messaging
from oslo_config import cfg
from oslo_context import context

from accelpool import errors
from accelpool.rpc import transport

#: Seconds to wait for an answer.  The slowest answer is an agent's that ends sessions.
TIMEOUT = 15

#: Version of the messages that every release understands.
FIRST = '1.0'


@functools.cache
def _bus(topic: str) -> oslo_messaging.RPCClient:
    return oslo_messaging.get_rpc_client(
        transport.get(), oslo_messaging.Target(topic=topic, version=FIRST),
        version_cap=cfg.CONF.rpc.version_cap, serializer=transport.SERIALIZER)


def probe() -> None:
    """Send a message that nobody reads.

    :raises ServiceUnavailable: the bus does not take it
    """
    try:
        _bus(transport.HEALTH_TOPIC).prepare(fanout=True, retry=0).cast({}, 'probe')
    except transport.FAILURES as error:
        raise errors.ServiceUnavailable(f'the message bus took no message: {error}') from error


#: Processes that have had an answer: they have a connection on which answers come, and it mends itself.
_answered: set[int] = set()


class _Client:
    """One service, reached on one topic."""

    topic: str
    host: str | None = None

    def _prepare(self, since: str) -> Any:
        bus = _bus(self.topic)
        # retry=1: a dead bus is an error soon, not a request that hangs for ever.
        options = {'timeout': TIMEOUT, 'retry': 1, 'version': since}
        return bus.prepare(server=self.host, **options) if self.host else bus.prepare(**options)

    def _cast(self, method: str, *, since: str = FIRST, **arguments: Any) -> None:
        try:
            self._prepare(since).cast(context.get_current(), method, **arguments)
        except oslo_messaging.RPCVersionCapError as error:
            raise self._older(method) from error
        except transport.FAILURES as error:
            raise errors.ServiceUnavailable(f'the message bus did not take a {method}: {error}') from error

    def _call(self, method: str, *, since: str = FIRST, **arguments: Any) -> Any:
        if os.getpid() not in _answered:
            probe()  # without the bus oslo.messaging would open that connection for ever, whatever the time-out says
        try:
            answer = self._prepare(since).call(context.get_current(), method, **arguments)
            _answered.add(os.getpid())
            return answer
        except oslo_messaging.RPCVersionCapError as error:
            raise self._older(method) from error
        except oslo_messaging.RemoteError as error:
            if error.exc_type == oslo_messaging.UnsupportedVersion.__name__:
                raise self._older(method) from error
            raise  # a fault of the other side: its traceback is in the message
        except transport.FAILURES as error:
            raise errors.ServiceUnavailable(f'{self._where()} did not answer within {TIMEOUT} s') from error

    def _where(self) -> str:
        return f'{self.topic} on {self.host}' if self.host else self.topic

    def _older(self, method: str) -> errors.ServiceUnavailable:
        return errors.ServiceUnavailable(f'{self._where()} is of an older release, which cannot {method}')


class SchedulerClient(_Client):
    """Any scheduler."""

    topic = transport.SCHEDULER_TOPIC

    def schedule(self, allocation_id: str) -> None:
        """Find devices for a pending allocation and claim them."""
        self._cast('schedule', allocation_id=allocation_id)

    def candidates(self, request: dict[str, Any]) -> dict[str, Any]:
        """Try a request (``types.Request`` as a dict) without claiming: candidates and rejections."""
        answer: dict[str, Any] = self._call('candidates', request=request)
        return answer


class ConductorClient(_Client):
    """The conductor of one host."""

    topic = transport.CONDUCTOR_TOPIC

    def __init__(self, host: str) -> None:
        self.host = host

    def bind(self, allocation_id: str) -> None:
        """Carve this host's slices of a scheduled allocation and tell the agent of them."""
        self._cast('bind', allocation_id=allocation_id)

    def release(self, allocation_id: str) -> None:
        """End the sessions on this host's slices of a releasing allocation and give them back."""
        self._cast('release', allocation_id=allocation_id)

    def attach(self, allocation_id: str) -> list[dict[str, Any]]:
        """Return the ``devices`` entries of an attachment for this host's slices, with fresh credentials.

        :raises Conflict: the allocation is not active
        :raises AgentUnavailable: the host's agent does not answer
        """
        answer: list[dict[str, Any]] = self._call('attach', allocation_id=allocation_id)
        return answer

    def holder(self, allocation_id: str) -> dict[str, Any]:
        """Return where and with which credential a holder connection is opened: url, credential."""
        answer: dict[str, Any] = self._call('holder', allocation_id=allocation_id)
        return answer

    def route(self, allocation_id: str, urls: list[dict[str, str]]) -> list[list[dict[str, str]]]:
        """Return, for each place (url, network), how a process of this host reaches it through this host's agent."""
        answer: list[list[dict[str, str]]] = self._call('route', since='1.1', allocation_id=allocation_id, urls=urls)
        return answer

    def usage(self, allocation_id: str) -> list[dict[str, Any]]:
        """Return what this host's slices of an allocation use now, one entry a slice."""
        answer: list[dict[str, Any]] = self._call('usage', allocation_id=allocation_id)
        return answer
