# SPDX-License-Identifier: Apache-2.0
"""``accelpool run -- true`` against the bare command, alternating."""

import subprocess
import time
from collections.abc import Iterator

from tools.bench import service
from tools.bench.figure import Figure, percentile


def measure(quick: bool = False) -> Iterator[Figure]:
    with service.running() as running:
        command = running.accelpool('run', '--profile', 'small', '--consumer-host', 'host-a',
                                    '--locality', 'remote', '--', 'true')

        def timed(words: list[str]) -> float:
            started = time.perf_counter()
            subprocess.run(words, env=running.environment, check=True)
            return time.perf_counter() - started

        timed(command)
        differences = [timed(command) - timed(['true']) for _ in range(5 if quick else 15)]
    middle = percentile(differences, 50)
    yield Figure('accelpool run -- true beyond the bare command, p50',
                 f'{middle:.2f} s', '1.0 s', middle <= 1.0)
