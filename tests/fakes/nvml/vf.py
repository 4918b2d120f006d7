# SPDX-License-Identifier: Apache-2.0
"""The virtual functions of a GPU, as NVIDIA's VFIO driver has them: a directory that stands for sysfs, and the kernel
behind a write.

What is creatable follows NVIDIA's rule for a GPU that does not mix sizes: types of the memory that is there already, as
many as the type's ``most``.  Errors are those of the driver: a function that has a type takes no other, one without
has none to give back, and one that a VM has open is kept.
"""

import errno
import os
import pathlib
import shutil
from typing import Any

#: The first virtual function's distance from the GPU's own.
OFFSET = 4


class VirtualFunctions:
    """``opened``: addresses that a VM has open; ``refuse``: address -> error number of the next writes there."""

    def __init__(self, sysfs: pathlib.Path, device: Any, count: int = 16) -> None:
        """
        :param sysfs: the directory
        :param device: the GPU in the stand-in of NVML, which knows its types
        """
        self._devices = sysfs / 'bus/pci/devices'
        self._bus = f'0000:{device.pci_bus:02x}'
        self._types = {one.id: one for one in device.vgpus if one.id}
        self._count = count
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
        for index in range(self._count):
            (self.path(index) / 'nvidia').mkdir(parents=True)
            (self.path(index) / 'nvidia/current_vgpu_type').write_text('0\n')
            (parent / f'virtfn{index}').symlink_to(f'../{self.address(index)}')
        self._offer()

    def disable(self) -> None:
        """Take them away, with their types: ``sriov-manage -d``, or the start of the host."""
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
        self._offer()

    def _creatable(self) -> list[int]:
        present = list(self.types().values())
        sizes = {self._types[number].memory for number in present}
        return [number for number, one in self._types.items()
                if sizes <= {one.memory} and len(present) < one.most]

    def _offer(self) -> None:
        text = 'ID    : vGPU Name\n' + ''.join(
            f'{number:<5} : {self._types[number].name.decode()}\n' for number in self._creatable())
        for index in range(self._count):
            (self.path(index) / 'nvidia/creatable_vgpu_types').write_text(text)
