# SPDX-License-Identifier: Apache-2.0
"""Seconds until the API's list of devices shows what happens to an NVIDIA GPU, with the options as they are by default.

NVML is the stand-in (a DGX A100); service, driver and database are real.  Each thing happens once, at a random
moment of the conductor's interval.
"""

import contextlib
import os
import pathlib
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from unittest import mock

import requests
import yaml

from tests.fakes.nvml.host import Host
from tools.bench import service
from tools.bench.figure import Figure

TARGET = 5.0
#: Seconds between two looks at the list.
POLL = 0.02
#: Seconds from one look of the conductor to the next ([conductor] inventory_interval).
INTERVAL = 2.0
#: NVML's "driver not loaded".
NOT_LOADED = 9


def measure(quick: bool = False) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix='accelpool-bench-') as place:
        host = Host('dgx-a100', pathlib.Path(place) / 'nvml-state')
        options = '[embedded]\nhosts = dgx\n[conductor]\ndrivers = nvidia\n[nvidia]\n' \
                  f'library_dir = {host.libraries()}\n'
        with contextlib.closing(host), mock.patch.dict(os.environ, {'FAKE_NVML_STATE': str(host.path)}), \
                service.running(options) as running:
            devices = Devices(running)
            devices.until(lambda found: len(found) == 8)
            for what, (happens, over) in _things(host).items():
                seconds = _seen(devices, happens, over)
                yield Figure(f'{what} -> device list', f'{seconds:.1f} s', f'{TARGET:g} s', seconds <= TARGET)


class Devices:
    """The list of devices, as a client of the API has it."""

    def __init__(self, running: service.Service) -> None:
        auth = yaml.safe_load(running.clouds.read_text())['clouds']['accelpool']['auth']
        self._session = requests.Session()
        self._session.auth = (auth['username'], auth['password'])
        self._url = auth['endpoint'] + '/v1/devices'

    def until(self, condition: Callable[[list[str]], bool]) -> None:
        """Wait until the healths of the devices are so."""
        while not condition(self._healths()):
            time.sleep(POLL)

    def _healths(self) -> list[str]:
        response = self._session.get(self._url)
        response.raise_for_status()
        return [one['health'] for one in response.json()['devices']]


def _things(host: Host) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Return what happens, and what ends it."""
    hanging = contextlib.ExitStack()

    def unload() -> None:
        host.state.init_code = NOT_LOADED
        hanging.enter_context(host.failing('nvmlDeviceGetCount_v2', code=NOT_LOADED))

    def load() -> None:
        host.state.init_code = 0
        hanging.close()
        host.reload()

    return {
        'XID': (lambda: host.xid(0, 119), lambda: host.reset(0)),
        'uncorrectable memory error': (lambda: host.ecc(1), lambda: host.reset(1)),
        'fallen off the bus': (lambda: host.lose(2), lambda: host.reset(2)),
        'pulled out': (lambda: host.pull(3), lambda: host.put_back(3)),
        'hangs': (lambda: hanging.enter_context(host.hanging(device=5)), hanging.close),
        'driver unloaded': (unload, load)}


def _seen(devices: Devices, happens: Callable[[], object], over: Callable[[], object]) -> float:
    devices.until(lambda found: set(found) == {'ok'})
    time.sleep(random.uniform(0.0, INTERVAL))
    started = time.monotonic()
    happens()
    devices.until(lambda found: set(found) != {'ok'})
    seconds = time.monotonic() - started
    over()
    return seconds
