# SPDX-License-Identifier: Apache-2.0
"""A host with Ascend devices that a test describes, and then moves."""

import functools
import pathlib
import sys
import uuid
from typing import Any

from tests.fakes import statefile
from tests.fakes.dcmi import layout

HERE = pathlib.Path(__file__).parent
BUILD = HERE.parents[2] / 'build/tests/dcmi'
NAMESPACE = uuid.UUID('9d2c7f6a-5a43-4f7c-8d4c-0b6d7c1a2e35')


@functools.cache
def library() -> pathlib.Path:
    """Build ``libdcmi.so`` when its sources are newer; return its directory."""
    statefile.build(HERE, BUILD / 'libdcmi.so', statefile.header(layout.STRUCTURES, layout.CONSTANTS))
    return BUILD


class Host(statefile.StateFile):
    """The state file of one host; ``env`` makes a process see it."""

    def __init__(self, description: str | dict[str, Any], path: pathlib.Path) -> None:
        """
        :param description: the name of a file in ``hosts/``, or its content
        :param path: where the state file goes
        """
        found = statefile.describe(HERE, description)
        super().__init__(layout.State, path)
        state = self.state
        state.driver, state.dcmi = found['driver'].encode(), found['dcmi'].encode()
        state.mode, state.init_code = found.get('mode', 0), found.get('init_code', 0)
        state.v2, state.recover = found.get('v2', 0), found.get('recover', 1)
        state.root, state.place = found.get('root', 1), getattr(layout, found.get('place', 'metal').upper())
        entries = found.get('devices', [])
        for index, entry in enumerate(entries):
            self._fill(index, {**statefile.models(HERE)[entry['model']], **entry})
        state.devices_count, state.version = len(entries), layout.VERSION

    @property
    def env(self) -> dict[str, str]:
        return {'FAKE_DCMI_STATE': str(self.path), 'LD_LIBRARY_PATH': str(library())}

    def smi(self) -> pathlib.Path:
        """Return a program that is npu-smi on this host."""
        program = self.path.with_name('npu-smi')
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -P {HERE / "npu_smi.py"} "$@"\n')
        program.chmod(0o755)
        return program

    def vdevices(self, device: int) -> list[tuple[str, int]]:
        """Return the vNPUs: template's name, id."""
        found = self.device(device)
        return sorted((found.templates[one.template].name.decode(), one.id) for one in found.vdevices if one.used)

    def groups(self, device: int) -> dict[int, int]:
        """Return the virtual group of each vNPU."""
        return {one.id: one.group for one in self.device(device).vdevices if one.used}

    def add_vdevice(self, device: int, template: str, group: int | None = None) -> int:
        """Somebody makes a vNPU, in a virtual group that has none if none is named; returns its id."""
        found = self.device(device)
        index = next(i for i, one in enumerate(found.templates) if one.name.decode() == template)
        position, one = next((i, one) for i, one in enumerate(found.vdevices) if not one.used)
        if group is None:
            empty = set(range(found.groups)) - set(self.groups(device).values())
            group = min(empty, default=layout.ANY)
        one.template, one.id, one.group = index, device * 16 + 100 + position, group
        one.used, one.saved = 1, self.state.recover
        return int(one.id)

    def destroy_vdevice(self, device: int, identifier: int) -> None:
        for one in self.device(device).vdevices:
            if one.used and one.id == identifier:
                one.used = one.container = one.saved = 0

    def set_recover(self, mode: int) -> None:
        """Somebody changes the recover mode (npu-smi set -t vnpu-cfg-recover); off, it forgets what it had written down."""
        self.state.recover = mode
        for device in self.state.devices:
            for one in device.vdevices:
                one.saved = one.saved and mode

    def restart(self, *, recovered: bool = True) -> None:
        """The host is restarted, and the driver has made its vNPUs again, if its mode is so, or comes to that later."""
        for device in self.state.devices:
            for one in device.vdevices:
                one.container, one.used = 0, int(recovered and one.saved)

    def recover(self) -> None:
        """The driver makes its vNPUs again, one whose number was taken meanwhile excepted."""
        for device in self.state.devices:
            for one in device.vdevices:
                one.used = one.used or one.saved

    def use_vdevice(self, device: int, identifier: int, used: int = 1) -> None:
        """A container takes a vNPU, or gives it back."""
        for one in self.device(device).vdevices:
            if one.used and one.id == identifier:
                one.container = used

    def start_process(self, device: int, pid: int, memory: int = 512) -> None:
        slot = next(one for one in self.device(device).processes if not one.pid)
        slot.memory, slot.pid = memory, pid

    def end_process(self, device: int, pid: int) -> None:
        for one in self.device(device).processes:
            if one.pid == pid:
                one.pid = 0

    def _fill(self, index: int, given: dict[str, Any]) -> None:
        device = self.state.devices[index]
        for name in ('card', 'chip', 'pci_id', 'aicore', 'aicpu', 'jpegd', 'memory', 'hbm', 'health', 'unit', 'island', 'smp',
                     'groups', 'group_cores'):
            setattr(device, name, given.get(name, 0))
        device.name, device.vendor, device.pci_bus = given['name'].encode(), 0x19e5, given['bus']
        digest = uuid.uuid5(NAMESPACE, f'{given["model"]}/{index}').int
        device.die[:] = [digest >> 32 * shift & 0xffffffff for shift in range(4)] + [index]
        device.temperature, device.power = 45, 683
        device.cpu_first, device.cpu_last = given.get('cpus', (0, 31))
        rows = given.get('templates', {})
        device.templates_count = len(rows)
        for slot, (name, row) in zip(device.templates, rows.items(), strict=False):
            slot.name = name.encode()
            slot.aicore, slot.aicpu, slot.jpegd, slot.memory = row
