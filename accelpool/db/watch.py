# SPDX-License-Identifier: Apache-2.0
"""Threads that wait until an allocation has changed its state.

A commit of this process tells them at once; what other processes commit they see when they look again.
"""

import contextlib
import queue
import threading
from collections.abc import Iterator

from accelpool.allocations.states import State
from accelpool.db import changes


class Watcher:
    """One waiting thread."""

    def __init__(self) -> None:
        self._states: queue.SimpleQueue[State] = queue.SimpleQueue()
        self.tell = self._states.put

    def next(self, timeout: float) -> State | None:
        """Return the next state that this process committed; None when there was none for ``timeout`` seconds."""
        try:
            return self._states.get(timeout=timeout)
        except queue.Empty:
            return None


_watchers: dict[str, list[Watcher]] = {}
_lock = threading.Lock()


@contextlib.contextmanager
def watching(identifier: str) -> Iterator[Watcher]:
    """Watch an allocation; look where it stands only after this has begun."""
    watcher = Watcher()
    with _lock:
        _watchers.setdefault(identifier, []).append(watcher)
    try:
        yield watcher
    finally:
        with _lock:
            _watchers[identifier].remove(watcher)
            if not _watchers[identifier]:
                del _watchers[identifier]


def _tell(change: changes.Change) -> None:
    if change.noun == 'allocation' and 'state' in change.fields:
        with _lock:
            for watcher in _watchers.get(change.id, ()):
                watcher.tell(change.fields['state'])


changes.listen('watchers', _tell)
