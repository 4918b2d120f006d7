# SPDX-License-Identifier: Apache-2.0
"""Allocation through the HTTP API: latency of create -> active, and cycles a second by 8 clients.

The load generator is one process of its own; it shares the machine's cores with the service.
"""

import concurrent.futures
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from tools.bench import service
from tools.bench.figure import Figure, percentile

CLIENTS = 8
#: Seconds between two looks when the service was too busy to let a client wait.
POLL = 0.01


def measure(quick: bool = False) -> Iterator[Figure]:
    with service.running() as running:
        rounds = 50 if quick else 300
        output = subprocess.run(
            [sys.executable, '-m', 'tools.bench.allocate', str(rounds)],
            env=running.environment, check=True, capture_output=True, text=True).stdout
    p50, p99, rate = (float(number) for number in output.split())
    yield Figure('allocation create -> active, p50', f'{p50 * 1e3:.1f} ms', '40 ms', p50 <= 0.040)
    yield Figure('allocation create -> active, p99', f'{p99 * 1e3:.1f} ms', '150 ms', p99 <= 0.150)
    yield Figure('allocate + release, 8 clients', f'{rate:.1f} a second', '60 a second', rate >= 60)


def main() -> None:
    rounds = int(sys.argv[1])
    first = _client()
    for _ in range(5):
        _cycle(first)
    latencies = [_cycle(first) for _ in range(rounds)]
    local = threading.local()

    def one(_: int) -> None:
        if not hasattr(local, 'client'):
            local.client = _client()
        _cycle(local.client)

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(one, range(CLIENTS * 2)))
        started = time.perf_counter()
        list(pool.map(one, range(rounds)))
        elapsed = time.perf_counter() - started
    print(percentile(latencies, 50), percentile(latencies, 99), rounds / elapsed)


def _client():  # type: ignore[no-untyped-def]
    """A bare requests session: the service is measured, not the client's comfort."""
    import requests
    import yaml

    with open(os.environ['OS_CLIENT_CONFIG_FILE']) as file:
        auth = yaml.safe_load(file)['clouds']['accelpool']['auth']
    session = requests.Session()
    session.auth = (auth['username'], auth['password'])
    session.headers['OpenStack-API-Version'] = 'accelpool 1.1'
    session.headers['Prefer'] = 'wait=10'
    return session, auth['endpoint'] + '/v1/allocations'


def _cycle(client) -> float:  # type: ignore[no-untyped-def]
    """One allocation of 1 % and 1 MiB until active, then released; returns create -> active in seconds."""
    session, url = client
    started = time.perf_counter()
    response = session.post(url, json={'compute': 1, 'memory': 1, 'consumer_type': 'process'})
    response.raise_for_status()
    here = f'{url}/{response.json()["id"]}'
    while (found := response.json())['state'] != 'active':
        if found['state'] == 'error':
            sys.exit(response.text)
        if 'Preference-Applied' not in response.headers:
            time.sleep(POLL)
        response = session.get(here)
    elapsed = time.perf_counter() - started
    response = session.delete(here)
    response.raise_for_status()
    if response.status_code == 202:
        while session.get(here).json()['state'] != 'released':
            time.sleep(POLL)
    return elapsed


if __name__ == '__main__':
    main()
