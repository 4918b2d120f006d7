# SPDX-License-Identifier: Apache-2.0
"""Seconds until the API's list of devices shows what happens to an NVIDIA GPU, with the options as they are by default.

NVML is the stand-in (a DGX A100); service, driver and database are real.  Things happen at random moments of the
conductor's interval; of several rounds the slowest counts.
"""

import contextlib
import os
import pathlib
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import TypeAlias
from unittest import mock

import requests
import yaml

from tests.fakes.nvml.host import Host
from tools.bench import service
from tools.bench.figure import Figure

TARGET = 5.0
ROUNDS = 5
#: Seconds between two looks at the list.
POLL = 0.02
#: Seconds after which something will not be seen any more.
PATIENCE = 60.0
#: Seconds in which who has opened a device listens to its events, too.
LISTENING = 0.5
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
            for what, (begin, end) in _things(host, devices).items():
                seen, well = zip(*(_seen(devices, begin, end) for _ in range(1 if quick else ROUNDS)), strict=True)
                for name, seconds in ((what, max(seen)), (f'{what} is over', max(well))):
                    yield Figure(f'{name} -> device list', f'{seconds:.1f} s', f'{TARGET:g} s', seconds <= TARGET)


class Devices:
    """The devices as a client of the API has them."""

    def __init__(self, running: service.Service) -> None:
        auth = yaml.safe_load(running.clouds.read_text())['clouds']['accelpool']['auth']
        self._session = requests.Session()
        self._session.auth = (auth['username'], auth['password'])
        self._url = auth['endpoint'] + '/v1/devices'

    def until(self, condition: Callable[[list[str]], bool]) -> None:
        """Wait until the healths of the devices are so.  :raises TimeoutError: they never are"""
        deadline = time.monotonic() + PATIENCE
        while not condition(healths := [one['health'] for one in self._listed()]):
            if time.monotonic() > deadline:
                raise TimeoutError(f'{PATIENCE:g} s later the devices are still {healths}')
            time.sleep(POLL)

    def enable(self, enabled: bool, *addresses: str) -> None:
        """Enable or disable the devices at PCI addresses; none: all."""
        for one in self._listed():
            if not addresses or one['pci_address'] in addresses:
                self._session.patch(f'{self._url}/{one["id"]}', json={'enabled': enabled}).raise_for_status()

    def _listed(self) -> list[dict[str, str]]:
        response = self._session.get(self._url)
        response.raise_for_status()
        found: list[dict[str, str]] = response.json()['devices']
        return found


#: Prepares that something happens, and returns what makes it happen.
Preparation: TypeAlias = Callable[[], Callable[[], object]]


def _things(host: Host, devices: Devices) -> dict[str, tuple[Preparation, Preparation]]:
    """Return what happens, and what ends it."""
    hanging = contextlib.ExitStack()

    def idle(*indices: int) -> None:
        while any(host.held(index) for index in indices):
            time.sleep(POLL)

    def event(index: int, happens: Callable[[], object]) -> Callable[[], object]:
        """Wait until who looks and who listens have a device open again that was let go of."""
        while len(host.held(index)) < 2:
            time.sleep(POLL)
        time.sleep(LISTENING)
        return happens

    def reset(index: int) -> Callable[[], object]:
        address = f'0000:{host.device(index).pci_bus:02x}:00.0'
        devices.enable(False, address)
        idle(index)
        host.reset(index)
        return lambda: devices.enable(True, address)

    def unload() -> Callable[[], object]:
        devices.enable(False)
        idle(*range(8))
        host.state.init_code = NOT_LOADED
        return lambda: devices.enable(True)

    def load() -> None:
        host.state.init_code = 0

    return {
        'XID': (lambda: event(0, lambda: host.xid(0, 119)), lambda: reset(0)),
        'uncorrectable memory error': (lambda: event(1, lambda: host.ecc(1)), lambda: reset(1)),
        'fallen off the bus': (lambda: lambda: host.lose(2), lambda: reset(2)),
        'pulled out': (lambda: lambda: host.pull(3), lambda: lambda: host.put_back(3)),
        'hangs': (lambda: lambda: hanging.enter_context(host.hanging(device=5)), lambda: hanging.close),
        'driver unloaded': (unload, lambda: load)}


def _seen(devices: Devices, begin: Preparation, end: Preparation) -> list[float]:
    """Return seconds until what happens is seen, and until it is seen that it is over."""
    devices.until(lambda found: set(found) == {'ok'})
    found = []
    for prepare, well in ((begin, False), (end, True)):
        happens = prepare()
        time.sleep(random.uniform(0.0, INTERVAL))
        started = time.monotonic()
        happens()
        devices.until(lambda healths: (set(healths) == {'ok'}) == well)  # noqa: B023
        found.append(time.monotonic() - started)
    return found
