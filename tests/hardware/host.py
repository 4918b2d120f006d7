# SPDX-License-Identifier: Apache-2.0
"""Which host a test of the driver runs on: this machine, or one that the stand-in of NVML plays.

A test knows neither: it asks the driver, and NVIDIA's own tool what the driver should have said.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest
from collections.abc import Callable
from typing import Any
from unittest import mock
from xml.etree import ElementTree

from oslo_config import cfg

from accelpool import conf
from accelpool.drivers.nvidia import NvidiaDriver
from accelpool.types import Device, Isolation, Slice
from tests.fakes.mps import host as mps
from tests.fakes.nvml import host as nvml
from tests.hardware import support


class HostCase(unittest.TestCase):
    """``self.driver`` is the driver on the host, ``self.dir`` where it keeps what it remembers."""

    #: Of the stand-in's host; None: this machine.
    description: str | None = None

    def setUp(self) -> None:
        self.stand_in: nvml.Host | None = None
        self._closing: list[Callable[[], object]] = []
        self.addCleanup(self.stop)
        if self.description is None and not support.target().startswith('nvidia'):
            self.skipTest('rehearsed on an emulated device, which this concerns not' if support.EMULATED else support.target())
        self.dir = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix='acp-', dir='/tmp')))
        self.dir.chmod(0o711)  # sessions have uids of their own
        self.libraries, self.control = support.LIBRARIES, shutil.which('nvidia-cuda-mps-control')
        if self.description is not None:
            self.libraries, self.control = self._pretend(self.description)
        conf.register_all()
        self.configure(library_dir=self.libraries, mps_control=self.control, mps_directory=str(self.dir / 'mps'),
                       session_overhead_mib=0, drain_foreign=False)
        self.driver = self.start()

    def _pretend(self, description: str) -> tuple[str, str]:
        """Become a host of the stand-in; return the directory of its libraries, and its control program of MPS."""
        host, control = nvml.Host(description, self.dir / 'nvml-state'), mps.Mps(self.dir)
        self.stand_in = host
        self.addCleanup(host.close)
        self.addCleanup(control.end)
        host.smi()
        self.enterContext(mock.patch.dict(os.environ, {
            'FAKE_NVML_STATE': str(host.path), 'PATH': f'{self.dir}:{os.environ["PATH"]}'}))
        return str(host.libraries()), str(control.control)

    def configure(self, **options: Any) -> None:
        for name, value in options.items():
            cfg.CONF.set_override(name, value, group='nvidia')
            self.addCleanup(cfg.CONF.clear_override, name, group='nvidia')

    def start(self) -> NvidiaDriver:
        """Start a driver, as a conductor that was killed does: its processes have ended with it."""
        self.stop()
        driver = NvidiaDriver(support.HOST, self.dir)
        inventory: Any = driver.inventory
        mig: Any = driver.need_slicing()._ways['mig']  # type: ignore[attr-defined]
        self._closing = [inventory._channel.close, inventory._watch.close,
                         lambda: [channel.close() for channel in mig._channels.values()]]
        return driver

    def stop(self) -> None:
        """End a driver's processes."""
        for close in self._closing:
            close()
        self._closing = []

    def need_mutation(self) -> None:
        """Skip what changes modes of a device, unless that is wanted; the stand-in's are there for it."""
        if self.description is None and not support.MUTATE:
            self.skipTest('it makes MIG instances and MPS daemons: set ACCELPOOL_HW_MUTATE=1 on a machine of your own')

    def devices(self) -> dict[str, Device]:
        """Return the devices by their UUIDs."""
        return {device.options['uuid']: device for device in self.driver.inventory.discover()}

    def held(self, device: Device) -> set[int]:
        """Return the processes of the driver that have a device open."""
        if self.stand_in is not None:
            return set(self.stand_in.held(device.options['minor']))
        node, found = f'/dev/nvidia{device.options["minor"]}', set()
        if not os.path.exists(node):
            self.skipTest('the stand-in has no device nodes')
        for process in pathlib.Path(f'/proc/self/task/{os.getpid()}/children').read_text().split():
            with contextlib.suppress(OSError):
                if node in {os.readlink(file) for file in pathlib.Path(f'/proc/{process}/fd').iterdir()}:
                    found.add(int(process))
        return found

    def offering(self, isolation: str) -> Device:
        """Return a device that can be cut in a way."""
        for device in self.driver.inventory.discover():
            if isolation in self.driver.need_slicing().modes(device):
                return device
        self.skipTest(f'no device here can be cut as {isolation}')

    def smi(self, *words: str) -> str:
        """Return what ``nvidia-smi`` says."""
        if shutil.which('nvidia-smi') is None:
            self.skipTest('nvidia-smi is not installed')
        done = subprocess.run(['nvidia-smi', *words], capture_output=True, text=True, check=False)
        if done.returncode:
            self.skipTest(f'nvidia-smi {" ".join(words)} is not known here: {done.stdout.strip()[:200]}')
        return done.stdout

    def said(self) -> ElementTree.Element:
        """Return what ``nvidia-smi`` says of everything."""
        return ElementTree.fromstring(self.smi('-q', '-x'))


def wanted(device: Device, identifier: str = 's1', isolation: str = Isolation.SHARED, **values: Any) -> Slice:
    return Slice(**{'id': identifier, 'allocation_id': 'a', 'device_id': device.id, 'host': support.HOST, 'compute': 10,
                    'memory': 64, 'isolation': isolation, **values})
