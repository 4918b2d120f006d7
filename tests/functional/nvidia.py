# SPDX-License-Identifier: Apache-2.0
"""An NVIDIA driver on a host that is made up: the real driver over the stand-in of NVML."""

import os
import pathlib
import tempfile
import unittest
import uuid
from collections.abc import Callable
from typing import Any
from unittest import mock

from oslo_config import cfg

from accelpool import conf
from accelpool.drivers import mdev
from accelpool.drivers.nvidia import NvidiaDriver, describe
from accelpool.partitions import Geometry
from accelpool.types import Device, Isolation, Slice
from tests.fakes.nvml.host import Host
from tests.fakes.nvml.vf import VirtualFunctions

#: Calls that change which GPU instances there are.
CHANGES = ('create_instance', 'destroy_instance')


class NvidiaCase(unittest.TestCase):
    """``self.host`` is the hardware, ``self.driver`` the driver; time passes when the test says so."""

    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.dir = pathlib.Path(place.name)
        self.boot = 'boot-1'
        self.programs: dict[int, str] = {}
        self.functions: VirtualFunctions | None = None
        self._closing: list[Callable[[], object]] = []
        self.addCleanup(self.stop)
        conf.register_all()
        self.configure(deadline=1.0, open_deadline=3.0, mig_deadline=5.0, retry_interval=0.1, session_overhead_mib=0,
                       mdev_root=str(self.dir / 'sys'))

    def configure(self, **options: Any) -> None:
        for name, value in options.items():
            cfg.CONF.set_override(name, value, group='nvidia')
            self.addCleanup(cfg.CONF.clear_override, name, group='nvidia')

    def describe(self, description: str | dict[str, Any]) -> Host:
        """Make the host, and the driver on it."""
        self.host = Host(description, self.dir / 'nvml-state')
        self.host.sysfs(self.dir / 'sys')
        self.addCleanup(self.host.close)
        patched = mock.patch.dict(os.environ, self.host.env)
        patched.start()
        self.addCleanup(patched.stop)
        self.driver = self.start()
        return self.host

    def start(self) -> NvidiaDriver:
        """Start a driver, as a conductor that was killed does: its processes have ended with it."""
        self.stop()
        driver = NvidiaDriver('host-n', self.dir)
        inventory: Any = driver.inventory
        inventory._boot = lambda: self.boot
        inventory._program = lambda pid: self.programs.get(pid, 'python3')
        mig: Any = driver.need_slicing()._ways['mig']  # type: ignore[attr-defined]
        mig._boot = lambda: self.boot
        mig._ask = self.followed(mig._ask)
        self._closing = [inventory._channel.close, inventory._watch.close,
                         lambda: [channel.close() for channel in mig._channels.values()]]
        vf: Any = driver.need_slicing()._ways['vf']  # type: ignore[attr-defined]
        vf._kernel = self.write
        return driver

    def stop(self) -> None:
        """End a driver's processes."""
        for close in self._closing:
            close()
        self._closing = []

    def write(self, path: pathlib.Path, text: str) -> None:
        """Write to a virtual function, as the driver and others do."""
        assert self.functions is not None
        self.functions.write(path, text)

    def followed(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        """Return what asks NVML, and has sysfs show what was done to the GPU."""
        def asked(call: str, *arguments: Any, **named: Any) -> Any:
            try:
                return ask(call, *arguments, **named)
            finally:
                if self.functions is not None and call in CHANGES:
                    self.functions.offer()

        return asked

    def look(self) -> list[Device]:
        """Return the devices in the order of their PCI addresses, as the conductor sees them."""
        slicing = self.driver.need_slicing()
        found = self.driver.inventory.discover()
        return sorted((Device.from_dict({**one.to_dict(), 'modes': slicing.modes(one)}) for one in found),
                      key=lambda one: one.pci_address or '')

    def rest(self, *indices: int) -> None:
        """Have the driver let go of these GPUs, and of no others."""
        self.driver.inventory.rest({describe.device_id(self.host.uuid(index)) for index in indices})

    def reset(self, index: int) -> None:
        """Reset a GPU, as an operator does who knows that somebody has it open."""
        self.rest(index)
        self.host.reset(index)
        self.rest()

    def until(self, condition: Callable[[list[Device]], bool]) -> list[Device]:
        """Look until something is so: looks, not seconds, limit it."""
        for _ in range(100):
            found = self.look()
            if condition(found):
                return found
        raise AssertionError(f'not seen in 100 looks; the last one: {found}')


class SlicingCase(NvidiaCase):
    """Devices are cut without a scheduler."""

    def carve(self, device: Device, slice_: Slice):
        return self.driver.need_slicing().carve(device, slice_)

    def slices(self) -> set[str]:
        return {carved.slice_id for carved in self.driver.need_slicing().list()}

    def scheduled(self, device: Device, identifier: str, compute: int = 10, memory: int | None = 1000,
                  name: str | None = None, used: tuple = ()) -> Slice:
        """Return a slice as the scheduler decides it."""
        assert device.partitions is not None
        chosen = Geometry.from_dict(device.partitions).choose(used, compute, memory, name)
        assert chosen is not None
        return wanted(device, identifier, Isolation.PARTITION, template=chosen.template.name, position=chosen.start,
                      compute=chosen.template.compute, memory=chosen.template.memory)


def vgpu_types(function: pathlib.Path) -> None:
    """Make a PCI function's vGPU types in a directory that stands for sysfs."""
    for name, memory, most in (('nvidia-1116', 2048, 12), ('nvidia-1122', 24576, 1)):
        kind = function / 'mdev_supported_types' / name
        (kind / 'devices').mkdir(parents=True)
        (kind / 'name').write_text(f'NVIDIA L4 {memory}')
        (kind / 'description').write_text(
            f'num_heads=4, frl_config=60, framebuffer={memory}M, max_resolution=7680x4320, max_instance={most}\n')
        (kind / 'available_instances').write_text(f'{most}\n')
        (kind / 'create').touch()


def mediated(function: pathlib.Path, slice_id: str, kind: str = 'nvidia-1116') -> str:
    """Make what the kernel makes below a type when a slice's UUID is written to its ``create``; return the UUID.

    A directory does nothing by itself, so this is done before the write; ``bus/mdev`` has nothing of it.
    """
    identifier = str(uuid.uuid5(mdev.NAMESPACE, slice_id))
    (function / 'mdev_supported_types' / kind / 'devices' / identifier).mkdir()
    return identifier


def wanted(device: Device, identifier: str = 's1', isolation: str = Isolation.SHARED, **values: Any) -> Slice:
    return Slice(**{'id': identifier, 'allocation_id': 'a', 'device_id': device.id, 'host': 'host-n', 'compute': 10,
                    'memory': 64, 'isolation': isolation, **values})
