# SPDX-License-Identifier: Apache-2.0
"""kombu's in-memory transport, woken instead of polling.

kombu's own looks for messages in a loop, and oslo.messaging makes that loop spin without a pause for
``memory://``: one thread per listener at full speed.  Here a listener sleeps until a message is put into a
queue that it consumes.  :func:`install` makes kombu use it for every ``memory://`` URL of this process.
"""

import collections
import queue
import threading
from typing import Any

import kombu.transport
from kombu.transport import memory

#: Longest sleep of a listener (seconds): how soon it sees that its server was stopped.  oslo.messaging asks
#: for 50 ms, which costs an idle service twenty wake-ups a second and listener for nothing.
LONGEST_SLEEP = 0.5

#: Listeners to wake, by queue.
_waiting: dict[str, set[threading.Event]] = collections.defaultdict(set)
_waiting_lock = threading.Lock()


class Channel(memory.Channel):
    """Tells the listeners of a queue that it has a message."""

    def basic_consume(self, queue: str, *args: Any, **kwargs: Any) -> Any:
        with _waiting_lock:
            _waiting[queue].add(self.connection.wake)
        return super().basic_consume(queue, *args, **kwargs)  # type: ignore[no-untyped-call]

    def basic_cancel(self, consumer_tag: str) -> Any:
        name = self._tag_to_queue.get(consumer_tag)
        with _waiting_lock:
            if name in _waiting:
                _waiting[name].discard(self.connection.wake)
        return super().basic_cancel(consumer_tag)  # type: ignore[no-untyped-call]

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        super()._put(queue, message, **kwargs)  # type: ignore[no-untyped-call]
        self._wake(queue)

    def _put_fanout(self, exchange: str, message: Any, routing_key: str | None = None, **kwargs: Any) -> None:
        super()._put_fanout(exchange, message, routing_key, **kwargs)  # type: ignore[no-untyped-call]
        for name in self._lookup(exchange, routing_key):  # type: ignore[no-untyped-call]
            self._wake(name)

    def _wake(self, name: str) -> None:
        with _waiting_lock:
            events = tuple(_waiting.get(name, ()))
        for event in events:
            event.set()


class Transport(memory.Transport):
    """One connection; ``wake`` is set when one of its queues may have a message."""

    Channel = Channel

    cycle: Any

    def __init__(self, client: Any, **kwargs: Any) -> None:
        self.wake = threading.Event()
        super().__init__(client, **kwargs)  # type: ignore[no-untyped-call]

    def drain_events(self, connection: Any, timeout: float | None = None, **kwargs: Any) -> None:
        """Deliver one message.  Raises TimeoutError when none came for about LONGEST_SLEEP."""
        while True:
            self.wake.clear()  # before looking: a message put after the look sets it again
            try:
                self.cycle.get(self._deliver, timeout=timeout)
                return
            except queue.Empty:
                if not self.wake.wait(LONGEST_SLEEP):
                    raise TimeoutError from None


def install() -> None:
    """Use this transport for ``memory://`` from now on."""
    kombu.transport.TRANSPORT_ALIASES['memory'] = f'{__name__}:Transport'
