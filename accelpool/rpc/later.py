# SPDX-License-Identifier: Apache-2.0
"""Messages about allocations that may be lost, because the reconcilers make them good: at once, or when the caller has
its answer already, for a queue that is kept on several nodes takes its time.
"""

import functools
import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import Generic, TypeVar

from oslo_context import context

from accelpool import errors

LOG = logging.getLogger(__name__)

SENDERS = 2
#: While more than these wait, the bus is away or slow, and there is no use in keeping others.
MOST_WAITING = 1000
#: Seconds for which a batch is collected: little beside the start of an instance, and what is given back within them is
#: never told.
PAUSE = 0.3

T = TypeVar('T')

_waiting = threading.BoundedSemaphore(MOST_WAITING)


@functools.cache
def _senders(_process: int) -> futures.ThreadPoolExecutor:
    """Some threads for each process: what a server forks afterwards would have none."""
    return futures.ThreadPoolExecutor(SENDERS, thread_name_prefix='cast')


def now(send: Callable[[str], None], allocation_id: str) -> None:
    """Send a message before the caller goes on."""
    try:
        send(allocation_id)
    except errors.ServiceUnavailable as failure:
        LOG.warning('Allocation %s: %s', allocation_id, failure.detail)


def cast(send: Callable[[str], None], allocation_id: str) -> None:
    """Send a message soon; it waits in this process, and dies with it."""
    if not _waiting.acquire(blocking=False):
        LOG.warning('Allocation %s: %d messages wait for the bus; the reconciler tells it', allocation_id, MOST_WAITING)
        return
    _senders(os.getpid()).submit(_send, send, allocation_id, context.get_current())


class Batches(Generic[T]):
    """Collects for a moment what is to be told, and hands it all over at once in a thread."""

    def __init__(self, work: Callable[[Sequence[T]], None], pause: float = PAUSE) -> None:
        """
        :param work: is called with what was put since the last time; may raise ServiceUnavailable
        :param pause: seconds between the first one and the call
        """
        self._work = work
        self._pause = pause
        self._lock = threading.Lock()
        self._process = 0
        self._collected: list[T] = []

    def put(self, one: T) -> None:
        """Add something, unless too much waits."""
        with self._lock:
            if self._process != os.getpid():  # a fork has neither the thread nor the right to what it would tell
                self._process, self._collected = os.getpid(), []
            if len(self._collected) >= MOST_WAITING:
                LOG.warning('%d messages wait for the bus; the reconciler tells it', MOST_WAITING)
                return
            self._collected.append(one)
            if len(self._collected) == 1:
                threading.Timer(self._pause, self._hand_over).start()

    def _hand_over(self) -> None:
        with self._lock:
            batch, self._collected = self._collected, []
        try:
            self._work(batch)
        except errors.ServiceUnavailable as failure:
            LOG.warning('%d messages were not sent: %s', len(batch), failure.detail)
        except Exception:
            LOG.exception('%d messages could not be sent', len(batch))


def _send(send: Callable[[str], None], allocation_id: str, carried: context.RequestContext | None) -> None:
    try:
        if carried is not None:
            carried.update_store()
        now(send, allocation_id)
    except Exception:
        LOG.exception('Allocation %s: a message could not be sent', allocation_id)
    finally:
        _waiting.release()
