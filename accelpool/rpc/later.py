# SPDX-License-Identifier: Apache-2.0
"""Messages that leave when the caller has its answer already: a queue that is kept on several nodes takes its time.

Only for what the reconcilers make good: messages wait in this process, and die with it.
"""

import functools
import logging
import os
import threading
from collections.abc import Callable
from concurrent import futures

from oslo_context import context

from accelpool import errors

LOG = logging.getLogger(__name__)

SENDERS = 2
#: While more than these wait, the bus is away or slow, and there is no use in keeping others.
MOST_WAITING = 1000

_waiting = threading.BoundedSemaphore(MOST_WAITING)


@functools.cache
def _senders(_process: int) -> futures.ThreadPoolExecutor:
    """Some threads for each process: what a server forks afterwards would have none."""
    return futures.ThreadPoolExecutor(SENDERS, thread_name_prefix='cast')


def cast(send: Callable[[str], None], allocation_id: str) -> None:
    """Send a message about an allocation soon."""
    if not _waiting.acquire(blocking=False):
        LOG.warning('Allocation %s: %d messages wait for the bus; the reconciler tells it', allocation_id, MOST_WAITING)
        return
    _senders(os.getpid()).submit(_send, send, allocation_id, context.get_current())


def _send(send: Callable[[str], None], allocation_id: str, carried: context.RequestContext | None) -> None:
    try:
        if carried is not None:
            carried.update_store()
        send(allocation_id)
    except errors.ServiceUnavailable as failure:
        LOG.warning('Allocation %s: %s', allocation_id, failure.detail)
    except Exception:
        LOG.exception('Allocation %s: a message could not be sent', allocation_id)
    finally:
        _waiting.release()
