# SPDX-License-Identifier: Apache-2.0
"""``Prefer: wait=N`` (RFC 7240): the answer may wait up to N seconds, until the allocation has settled.

One request instead of many that ask how far it is.  Only half of a process's threads may wait; more requests, and
those of a client that asks for nothing, are answered at once.
"""

import functools
import re
import threading
import time
from collections.abc import Callable, Container, Mapping

from oslo_config import cfg

from accelpool.allocations.states import State
from accelpool.api import microversions, resource
from accelpool.db import allocation as db_allocation
from accelpool.db import session as db
from accelpool.db import watch

#: Longest wait in seconds: shorter than what proxies allow an answer to take (60 s is common).
LONGEST = 30
#: Seconds between two looks for what another process has changed: short at first, then longer.
LOOK_FIRST, LOOK_LONGEST = 0.02, 0.5

#: States in which an allocation stays until somebody asks for something.
SETTLED = frozenset({State.ACTIVE, State.SUSPENDED, State.ERROR, State.RELEASED})

_WAIT = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,6})"?\s*(?=[,;]|$)', re.IGNORECASE)


@functools.cache
def _places() -> threading.Semaphore:
    return threading.Semaphore(max(1, cfg.CONF.api.threads // 2))


def wanted(call: resource.Call) -> int:
    """Return the seconds that the caller is willing to wait."""
    if call.version < microversions.PREFER_WAIT:
        return 0
    found = _WAIT.search(call.request.headers.get('Prefer', ''))
    return min(int(found[1]), LONGEST) if found else 0


def until(call: resource.Call, allocation_id: str, states: Container[State] = SETTLED, *,
          now: State | None = None, begin: Callable[[], None] = lambda: None) -> Mapping[str, str]:
    """Wait until the allocation's state is one of ``states``, or as long as the caller prefers.

    Returns the headers that tell the caller so; none when there was no waiting.

    :param now: its state, if the caller knows it
    :param begin: sets going what is waited for
    :raises NotFound: there is no such allocation (any more)
    """
    seconds = wanted(call)
    if not seconds or not _places().acquire(blocking=False):
        begin()
        return {}
    try:
        with watch.watching(allocation_id) as watcher:  # before it begins: it may be done at once
            begin()
            _wait(watcher, allocation_id, states, now, time.monotonic() + seconds)
    finally:
        _places().release()
    return {'Preference-Applied': f'wait={seconds}'}


def _wait(watcher: watch.Watcher, allocation_id: str, states: Container[State], state: State | None,
          deadline: float) -> None:
    # All services of an SQLite file are in this process, which is told of everything.
    pause = LOOK_LONGEST if db.one_writer() else LOOK_FIRST
    while True:
        if state is None:
            with db.reader() as session:
                state = db_allocation.state(session, allocation_id)
            pause = min(pause * 1.5, LOOK_LONGEST)
        left = deadline - time.monotonic()
        if state in states or left <= 0:
            return
        state = watcher.next(min(left, pause))
