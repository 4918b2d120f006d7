# SPDX-License-Identifier: Apache-2.0
"""Memory of the embedded service with 4 devices and no session: proportional set size of its processes."""

import pathlib
import time
from collections.abc import Iterator

from tools.bench import service
from tools.bench.figure import Figure


def measure(quick: bool = False) -> Iterator[Figure]:
    with service.running() as running:
        time.sleep(2 if quick else 10)  # after a few heartbeats, not at birth
        total = sum(_proportional_mib(pid) for pid in _family(running.process.pid))
    yield Figure('memory of the embedded service, idle', f'{total:.0f} MiB', '250 MiB', total <= 250)


def _family(pid: int) -> Iterator[int]:
    """Yield a process and all its descendants."""
    yield pid
    for task in pathlib.Path(f'/proc/{pid}/task').iterdir():
        for child in (task / 'children').read_text().split():
            yield from _family(int(child))


def _proportional_mib(pid: int) -> float:
    for line in pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines():
        if line.startswith('Pss:'):
            return int(line.split()[1]) / 1024
    return 0.0
