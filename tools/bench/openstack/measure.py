# SPDX-License-Identifier: Apache-2.0
"""What is measured of one service; figures in seconds, cycles a second and MiB."""

import concurrent.futures
import pathlib
import statistics
import threading
import time
from collections.abc import Iterable

from tools.bench.openstack.client import Client
from tools.integration.process import Service

CLIENTS = 8


def bound(client: Client, profile: str, host: str, provider: str, rounds: int) -> float:
    """Return the median of create..Bound, one after the other."""
    found = []
    for _ in range(rounds):
        instance, seconds = client.bind(profile, host, provider)
        found.append(seconds)
        client.unbind(instance)
    return statistics.median(found)


def cycles(base: str, profile: str, host: str, provider: str, rounds: int, *, carved: bool = False) -> float:
    """Return the full cycles (create, bind, look, delete) a second of eight clients.

    :param carved: each ends only when the slice has been carved, too
    """
    local = threading.local()

    def one(_: int) -> None:
        if not hasattr(local, 'client'):
            local.client = Client(base)
        instance, _ = local.client.bind(profile, host, provider)
        if carved:
            local.client.wait_carved(instance)
        local.client.unbind(instance)

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(one, range(CLIENTS * 2)))
        begun = time.perf_counter()
        list(pool.map(one, range(rounds)))
        return rounds / (time.perf_counter() - begun)


def listing(client: Client, path: str, rounds: int = 20) -> float:
    """Return the median of a GET."""
    found = []
    for _ in range(rounds):
        begun = time.perf_counter()
        client.call('GET', path)
        found.append(time.perf_counter() - begun)
    return statistics.median(found)


def memory(services: Iterable[Service]) -> float:
    """Return the proportional set size of some services with all their processes, MiB."""
    groups = {service.pid for service in services}
    total = 0
    for process in pathlib.Path('/proc').glob('[0-9]*'):
        try:
            if int((process / 'stat').read_text().rpartition(') ')[2].split()[2]) in groups:
                rollup = (process / 'smaps_rollup').read_text()
                total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith('Pss:'))
        except (OSError, StopIteration):
            continue  # it has just ended
    return total / 1024
