# SPDX-License-Identifier: Apache-2.0
"""The virtual functions of a GPU, as NVIDIA's VFIO driver has them: a directory that stands for sysfs, and the kernel
behind a write.

What is creatable follows NVIDIA's rule for a GPU that does not mix sizes: types of the memory that is there already, as
many as the type's ``most``.  In MIG mode a type is creatable where a GPU instance of its profile has no vGPU yet; the
driver chooses which one.  Making or removing the functions binds the driver anew, which destroys all instances.

Errors are those of the driver: a function that has a type takes no other, one without has none to give back, and one that
a VM has open is kept.
"""

import ctypes
import errno
import os
import pathlib
import shutil
from typing import Any

from tests.fakes.nvml import layout

#: The first virtual function's distance from the GPU's own.
OFFSET = 4


class VirtualFunctions:
    """``opened``: addresses that a VM has open; ``refuse``: address -> error number of the next writes there."""

    def __init__(self, sysfs: pathlib.Path, device: Any, count: int = 16) -> None:
        """
        :param sysfs: the directory
        :param device: the GPU in the stand-in of NVML, which knows its types
        """
        self._sysfs = sysfs
        self._devices = sysfs / 'bus/pci/devices'
        self._device = device
        self._bus = f'0000:{device.pci_bus:02x}'
        self._types = {one.id: one for one in device.vgpus if one.id}
        self._count = count
        self._instances: dict[str, Any] = {}  # what has a vGPU -> the GPU instance that the driver gave it
        self.opened: set[str] = set()
        self.refuse: dict[str, int] = {}
        self.writes: list[tuple[str, str]] = []
        self.enable()

    def address(self, index: int) -> str:
        return f'{self._bus}:{(OFFSET + index) // 8:02x}.{(OFFSET + index) % 8}'

    def path(self, index: int) -> pathlib.Path:
        return self._devices / self.address(index)

    def enable(self) -> None:
        """Make them: ``sriov-manage -e``."""
        parent = self._devices / f'{self._bus}:00.0'
        parent.mkdir(parents=True, exist_ok=True)
        self._bind_driver()
        for index in range(self._count):
            self.path(index).mkdir()
            self._furnish(self.path(index))
            (parent / f'virtfn{index}').symlink_to(f'../{self.address(index)}')
        self.offer()

    def disable(self) -> None:
        """Take them away, with their types: ``sriov-manage -d``, or the start of the host."""
        self._bind_driver()
        for index in range(self._count):
            shutil.rmtree(self.path(index), ignore_errors=True)
            (self._devices / f'{self._bus}:00.0/virtfn{index}').unlink(missing_ok=True)

    def types(self) -> dict[str, int]:
        """Return which functions have a type."""
        found = {self.address(index): int((self.path(index) / 'nvidia/current_vgpu_type').read_text())
                 for index in range(self._count) if self.path(index).exists()}
        return {address: number for address, number in found.items() if number}

    def write(self, path: pathlib.Path, text: str) -> None:
        """Do what the kernel does when somebody writes to a file of a function.

        :raises OSError: as the kernel answers
        """
        address = path.parent.parent.resolve().name
        self.writes.append((address, text))
        number, has = int(text), int(path.read_text())
        if address in self.refuse:
            raise OSError(self.refuse[address], os.strerror(self.refuse[address]))
        if bool(number) == bool(has) or (has and address in self.opened):
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        if number and number not in self._creatable():
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        path.write_text(f'{number}\n')
        self._give(address, number) if number else self._take(address)
        self.offer()

    def offer(self) -> None:
        """Tell what can be made now: called after something was done to the GPU."""
        text = 'ID    : vGPU Name\n' + ''.join(
            f'{number:<5} : {self._types[number].name.decode()}\n' for number in self._creatable())
        for index in range(self._count):
            if self.path(index).exists():
                (self.path(index) / 'nvidia/creatable_vgpu_types').write_text(text)

    def _bind_driver(self) -> None:
        self._instances.clear()
        ctypes.memset(self._device.instances, 0, ctypes.sizeof(self._device.instances))

    def _furnish(self, path: pathlib.Path) -> None:
        (path / 'nvidia').mkdir()
        (path / 'nvidia/current_vgpu_type').write_text('0\n')

    def _creatable(self) -> list[int]:
        present = [self._types[number] for number in self.types().values()]
        if self._device.mig:
            have = [self._profile(one) for one in self._device.instances if one.used]
            taken = [one.profile for one in present]
            return [number for number, one in self._types.items() if have.count(one.profile) > taken.count(one.profile)]
        sizes = {one.memory for one in present}
        return [number for number, one in self._types.items()
                if one.profile == layout.NO_PROFILE and sizes <= {one.memory} and len(present) < one.most]

    def _give(self, user: str, number: int) -> None:
        """Give a vGPU the first free GPU instance of its type's profile, if it takes one."""
        for one in self._device.instances:
            if one.used and not one.vgpu and self._profile(one) == self._types[number].profile:
                one.vgpu, self._instances[user] = number, one
                return

    def _take(self, user: str) -> None:
        if user in self._instances:
            self._instances.pop(user).vgpu = 0

    def _profile(self, instance: Any) -> int:
        return int(self._device.profiles[instance.profile].id)
