# SPDX-License-Identifier: Apache-2.0
"""The data path over TCP against a raw socket in the same run: builds and runs data_path.c on a slice."""

import json
import pathlib
import subprocess
import tempfile
from collections.abc import Iterator

from accelpool.remoting import artefacts
from tools.bench import service
from tools.bench.figure import Figure

SOURCE = pathlib.Path(__file__).with_suffix('.c')



def _measure(quick: bool, options: str = '') -> dict[str, float]:
    with tempfile.TemporaryDirectory() as place, service.running(options) as running:
        program = f'{place}/data_path'
        subprocess.run(['gcc', '-O2', '-Wall', '-pthread', '-o', program, str(SOURCE),
                        str(artefacts.client_library('cuda'))], check=True)
        # host-a to host-b: another agent, so TCP
        output = subprocess.run(
            running.accelpool('run', '--compute', '100', '--memory', '1024', '--consumer-host', 'host-a',
                              '--locality', 'remote', '--', program, '1' if quick else '4'),
            env=running.environment, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(output)
    return found


def measure(quick: bool = False) -> Iterator[Figure]:
    seen = _measure(quick)
    call = seen['call_us'] / seen['ping_pong_us']
    yield Figure('synchronous remote call / raw TCP ping-pong, p50',
                 f'{call:.2f}x ({seen["call_us"]:.1f} / {seen["ping_pong_us"]:.1f} us)', '1.5x', call <= 1.5)
    rate = seen['launches_per_second']
    yield Figure('asynchronous launches of an empty kernel', f'{rate:,.0f} a second', '200,000 a second',
                 rate >= 200_000)
    for way in ('h2d', 'd2h'):
        ratio = seen[f'{way}_gbs'] / seen['raw_gbs']
        speeds = f'{seen[f"{way}_gbs"]:.2f} / {seen["raw_gbs"]:.2f} GB/s'
        yield Figure(f'bulk {way.upper()} / raw TCP', f'{ratio:.0%} ({speeds})', '80 %', ratio >= 0.8)
    inside = _measure(quick, '[embedded]\ntls = true\n')
    call = inside['call_us'] / seen['call_us']
    yield Figure('synchronous remote call, inside TLS / plaintext, p50',
                 f'{call:.2f}x ({inside["call_us"]:.1f} / {seen["call_us"]:.1f} us)', 'none', None)
    rate = inside['launches_per_second']
    yield Figure('asynchronous launches inside TLS', f'{rate:,.0f} a second', '200,000 a second', rate >= 200_000)
    for way in ('h2d', 'd2h'):
        ratio = inside[f'{way}_gbs'] / seen[f'{way}_gbs']
        speeds = f'{inside[f"{way}_gbs"]:.2f} / {seen[f"{way}_gbs"]:.2f} GB/s'
        yield Figure(f'bulk {way.upper()} inside TLS / plaintext', f'{ratio:.0%} ({speeds})', 'none', None)
