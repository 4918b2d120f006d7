# SPDX-License-Identifier: Apache-2.0
"""How a service is told to end."""

import queue
import signal
from collections.abc import Callable


def ending() -> Callable[[], object]:
    """Note SIGTERM and SIGINT from now on; what is returned waits for the first one.

    A handler that sets a threading.Event waits for ever where it interrupts the thread that begins to wait for it.
    """
    told: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda given, _frame: told.put(given))
    return told.get
