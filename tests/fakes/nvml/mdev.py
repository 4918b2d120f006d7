# SPDX-License-Identifier: Apache-2.0
"""The virtual functions of a GPU on an older kernel: each has one mediated device at most.

A mediated device has a vGPU, and with MIG its GPU instance, as long as a VM runs with it.
"""

import errno
import os
import pathlib
import shutil

from tests.fakes.nvml.vf import VirtualFunctions


class MediatedFunctions(VirtualFunctions):
    """``opened``: UUIDs of the mediated devices with which a VM runs."""

    def disable(self) -> None:
        super().disable()
        shutil.rmtree(self._sysfs / 'bus/mdev/devices')

    def types(self) -> dict[str, int]:
        """Return the mediated devices and their types."""
        return {path.name: int(path.parents[1].name.removeprefix('nvidia-'))
                for path in self._devices.glob(f'{self._bus}:*/mdev_supported_types/*/devices/*')}

    def write(self, path: pathlib.Path, text: str) -> None:
        self.writes.append((str(path.relative_to(self._sysfs)), text))
        if path.name == 'create':
            if path.with_name('available_instances').read_text().strip() == '0':
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            (path.with_name('devices') / text).mkdir()
            (self._sysfs / 'bus/mdev/devices' / text).mkdir()
        else:
            name = path.parent.name
            if name in self.opened:
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
            path.parent.rmdir()
            next(self._devices.glob(f'*/mdev_supported_types/*/devices/{name}')).rmdir()
        self.offer()

    def start(self, name: str) -> None:
        """A VM starts with a mediated device."""
        self.opened.add(name)
        self._give(name, self.types()[name])

    def stop(self, name: str) -> None:
        self.opened.remove(name)
        self._take(name)

    def offer(self) -> None:
        creatable = self._creatable()
        for index in range(self._count):
            busy = any(self.path(index).glob('mdev_supported_types/*/devices/*'))
            for number in self._types if self.path(index).exists() else ():
                (self.path(index) / f'mdev_supported_types/nvidia-{number}/available_instances').write_text(
                    f'{int(not busy and number in creatable)}\n')

    def _furnish(self, path: pathlib.Path) -> None:
        (self._sysfs / 'bus/mdev/devices').mkdir(parents=True, exist_ok=True)
        for number, one in self._types.items():
            kind = path / f'mdev_supported_types/nvidia-{number}'
            (kind / 'devices').mkdir(parents=True)
            (kind / 'name').write_text(f'{one.name.decode()}\n')
            (kind / 'description').write_text(
                f'num_heads=1, frl_config=60, framebuffer={one.memory}M, max_resolution=4096x2160, max_instance={one.most}\n')
