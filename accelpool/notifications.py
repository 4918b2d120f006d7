# SPDX-License-Identifier: Apache-2.0
"""Versioned notifications: what happens to allocations and devices, for whoever listens on the bus.

A thread of its own sends them, so that neither a request nor a transaction waits for the bus.  They may be lost (a
process that is killed, a bus that is away for long); events of the API are the record that is not.
"""

import contextlib
import functools
import logging
import os
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any

from oslo_config import cfg

from accelpool.db import changes, payloads
from accelpool.rpc import transport

LOG = logging.getLogger(__name__)

#: Seconds that a process which ends gives its last notifications.
FLUSH = 5

Send = Callable[[], None]


class Outbox:
    """Sends in the order in which it was asked to, from a thread; drops what is too much."""

    def __init__(self, backlog: int) -> None:
        self._queue: queue.Queue[Send | None] = queue.Queue(backlog)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._dropped = 0

    def put(self, send: Send) -> None:
        self._ensure_thread()
        try:
            self._queue.put_nowait(send)
        except queue.Full:
            self._dropped += 1

    def flush(self, timeout: float) -> None:
        """Wait until everything is sent, at most ``timeout`` seconds; nothing is sent any more afterwards."""
        if self._thread is None:
            return
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=timeout)
            self._thread.join(timeout)
        if self._thread.is_alive():
            LOG.warning('About %d notifications were not sent within %g s and are lost', self._queue.qsize(), timeout)

    def _ensure_thread(self) -> None:
        """Threads do not survive the fork of a WSGI server."""
        with self._lock:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._run, name='notifications', daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (send := self._queue.get()) is not None:
            try:
                send()
            except Exception:
                LOG.exception('A notification could not be sent')
            if self._dropped:
                LOG.warning('%d notifications were dropped: the bus is too slow', self._dropped)
                self._dropped = 0


@functools.cache
def outbox() -> Outbox:
    """Return this process's outbox."""
    return Outbox(cfg.CONF.notifications.backlog)


def enabled() -> bool:
    """Say whether notifications go anywhere (``[oslo_messaging_notifications] driver``)."""
    _bus()
    return any(name not in {'', 'noop'} for name in cfg.CONF.oslo_messaging_notifications.driver)


def setup(service: str, host: str) -> None:
    """Tell from now on what this process changes, as ``service:host``."""
    if enabled():
        changes.listen('notifications', lambda change: outbox().put(lambda: _tell(change, f'{service}:{host}')))


def flush() -> None:
    """Send what is still to be sent; for a process that ends."""
    outbox().flush(FLUSH)


def _tell(change: changes.Change, publisher: str) -> None:
    payload = payloads.of(change)
    if payload is not None:
        emit(f'{change.noun}.{change.event}', payload, publisher, error=change.event == 'fail')


def emit(event_type: str, payload: Mapping[str, Any], publisher: str, *, error: bool = False) -> None:
    """Send one notification now."""
    notifier = notifier_of(tuple(cfg.CONF.notifications.topics), publisher)
    (notifier.error if error else notifier.info)({}, event_type, payload)


@functools.cache
def notifier_of(topics: tuple[str, ...], publisher: str) -> Any:  # an oslo_messaging Notifier
    import oslo_messaging  # after accelpool.rpc, which chooses its threads

    return oslo_messaging.Notifier(_bus(), publisher_id=publisher, topics=list(topics))


@functools.cache
def _bus() -> Any:
    import oslo_messaging

    transport.get()  # what it prefers of RabbitMQ holds here, too
    return oslo_messaging.get_notification_transport(cfg.CONF)
