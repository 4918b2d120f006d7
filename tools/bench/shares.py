# SPDX-License-Identifier: Apache-2.0
"""Work done by two slices of one emulated device over ten seconds, against what their shares promise."""

import json
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator

from tools.bench import service
from tools.bench.figure import Figure

PROGRAM = str(pathlib.Path(__file__).parents[2] / 'examples/share.py')


def measure(quick: bool = False) -> Iterator[Figure]:
    with service.running() as running:
        for small, large in ((30, 70), (10, 90)):
            got = _contend(running, (small, large), 3 if quick else 10)
            share = 100 * got[0] / sum(got)
            yield Figure(f'shares {small} : {large}, work done', f'{share:.1f} : {100 - share:.1f}',
                         'within 5 points', abs(share - small) <= 5)


def _contend(running: service.Service, shares: tuple[int, int], seconds: int) -> list[int]:
    def cli(*words: str) -> dict[str, object]:
        output = subprocess.run(running.accelpool(*words, '-f', 'json'), env=running.environment,
                                check=True, capture_output=True, text=True).stdout
        found: dict[str, object] = json.loads(output)
        return found

    # Best fit puts the second slice on the device that the first one opened.
    allocations = [cli('allocation', 'create', '--compute', str(share), '--memory', '256', '--consumer-host',
                       'host-a', '--locality', 'remote', '--wait') for share in shares]
    devices = {allocation['slices'][0]['device_id'] for allocation in allocations}  # type: ignore[index]
    assert len(devices) == 1, 'the slices are on different devices'
    begin = str(time.time() + 4)
    programs = [subprocess.Popen(
        running.accelpool('run', '--allocation', str(allocation['id']), '--',
                          sys.executable, PROGRAM, str(seconds), begin),
        env=running.environment, stdout=subprocess.PIPE, text=True) for allocation in allocations]
    counts = [int(program.communicate()[0]) for program in programs]
    subprocess.run(running.accelpool('allocation', 'delete', *(str(a['id']) for a in allocations), '--wait'),
                   env=running.environment, check=True, stderr=subprocess.DEVNULL)
    return counts
