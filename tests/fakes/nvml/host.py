# SPDX-License-Identifier: Apache-2.0
"""A host with NVIDIA devices that a test describes, and then moves."""

import ctypes
import functools
import pathlib
import shutil
import sys
import uuid
from typing import Any

from tests.fakes import statefile
from tests.fakes.mps import host as mps
from tests.fakes.nvml import layout
from tests.support import processes

HERE = pathlib.Path(__file__).parent
BUILD = HERE.parents[2] / 'build/tests/nvml'
NO_INSTANCE = 0xffffffff
NAMESPACE = uuid.UUID('3a0f7c2e-90a4-4f0e-8a51-6cf6ff3f9a10')

#: NVML's nvmlEventType...
DOUBLE_BIT_ECC, CRITICAL_XID = 2, 8


@functools.cache
def library() -> pathlib.Path:
    """Build ``libnvidia-ml.so.1`` when its sources are newer; return its directory."""
    statefile.build(HERE, BUILD / 'libnvidia-ml.so.1', statefile.header(layout.STRUCTURES, layout.CONSTANTS))
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
        self._fill(found)

    @property
    def env(self) -> dict[str, str]:
        return {'FAKE_NVML_STATE': str(self.path), 'LD_LIBRARY_PATH': str(library())}

    def libraries(self) -> pathlib.Path:
        """Return a directory with NVIDIA's libraries on this host: an emulated device behind each that NVML has."""
        place = self.path.with_name('lib')
        place.mkdir()
        (place / 'libnvidia-ml.so.1').symlink_to(library() / 'libnvidia-ml.so.1')
        (place / 'libcuda.so.1').symlink_to(mps.library())
        for one in self.state.devices[:self.state.devices_count]:
            called = one.uuid.decode()
            (place / f'{called}.device').write_text(
                f'name={one.name.decode()};uuid={called[4:].replace("-", "")};memory_mib={one.memory};'
                f'cc={one.cc_major}.{one.cc_minor};sm={one.sms};pci={one.bus_id.decode().lower()[-12:]}')
        return place

    def smi(self) -> pathlib.Path:
        """Return a program that is nvidia-smi on this host."""
        program = self.path.with_name('nvidia-smi')
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -P {HERE / "nvidia_smi.py"} "$@"\n')
        program.chmod(0o755)
        return program

    def uuid(self, index: int) -> str:
        found: bytes = self.device(index).uuid
        return found.decode()

    def event(self, device: int, kind: int, data: int, instance: int = NO_INSTANCE) -> None:
        """Tell every event set."""
        entry = self.state.events[self.state.events_count % layout.EVENTS]
        entry.device, entry.kind, entry.data = device, kind, data
        entry.instance = entry.compute = instance
        self.state.events_count += 1

    def xid(self, device: int, code: int, instance: int = NO_INSTANCE) -> None:
        self.event(device, CRITICAL_XID, code, instance)

    def ecc(self, device: int, uncorrected: int = 1) -> None:
        """Uncorrected memory errors: the counter and the event."""
        self.device(device).ecc_uncorrected += uncorrected
        self.event(device, DOUBLE_BIT_ECC, self.device(device).ecc_uncorrected)

    def lose(self, device: int) -> None:
        """Fall off the bus."""
        self.device(device).lost = 1

    def pull(self, device: int) -> None:
        """Remove it while the host runs."""
        self.device(device).gone = 1

    def put_back(self, device: int) -> None:
        self.device(device).gone = 0

    def held(self, device: int) -> list[int]:
        """Return the processes that have a GPU open, and so keep it from being reset or detached from its driver."""
        return [one.pid for one in self.state.clients if one.pid and one.devices >> device & 1 and processes.alive(one.pid)]

    def sysfs(self, root: pathlib.Path) -> None:
        """Say in a directory that stands for sysfs which GPUs the kernel's driver has."""
        driver = root / 'bus/pci/drivers/nvidia'
        shutil.rmtree(driver, ignore_errors=True)
        driver.mkdir(parents=True)
        for one in self.state.devices[:self.state.devices_count]:
            address = f'0000:{one.pci_bus:02x}:00.0'
            (root / 'bus/pci/devices' / address).mkdir(parents=True, exist_ok=True)
            (driver / address).symlink_to(f'../../devices/{address}')

    def detach(self, device: int, root: pathlib.Path) -> None:
        """Take a GPU from the kernel's driver, as libvirt does for a guest."""
        assert not self.held(device), f'NVRM: Attempting to remove device with non-zero usage count: {self.held(device)}'
        (root / f'bus/pci/drivers/nvidia/0000:{self.device(device).pci_bus:02x}:00.0').unlink()
        self.pull(device)

    def give_back(self, device: int, root: pathlib.Path) -> None:
        """Give a GPU back to the kernel's driver."""
        address = f'0000:{self.device(device).pci_bus:02x}:00.0'
        (root / 'bus/pci/drivers/nvidia' / address).symlink_to(f'../../devices/{address}')
        self.put_back(device)

    def reset(self, device: int) -> None:
        """Reset the GPU: what ``nvidia-smi --gpu-reset`` leaves."""
        assert not self.held(device), f'In use by another client: {self.held(device)}'
        found = self.device(device)
        found.lost = found.recovery = found.remap_pending = found.throttle = 0
        found.ecc_corrected = found.ecc_uncorrected = 0
        found.energy = 1000
        for process in found.processes:
            process.pid = 0

    def reload(self) -> None:
        """Unload the driver and load it again."""
        for index in range(self.state.devices_count):
            self.reset(index)

    def start_process(self, device: int, pid: int, memory: int = 512, *, instance: int = NO_INSTANCE,
                      compute: int = 0, kind: int = 0) -> None:
        for process in self.device(device).processes:
            if not process.pid:
                process.kind, process.instance, process.compute = kind, instance, compute
                process.memory, process.pid = memory, pid
                return
        raise AssertionError('no room for another process')

    def end_process(self, device: int, pid: int) -> None:
        for process in self.device(device).processes:
            if process.pid == pid:
                process.pid = 0

    def instances(self, device: int) -> list[tuple[str, int, list[str]]]:
        """Return the GPU instances: profile's name, first slice, UUIDs of the compute instances."""
        found = self.device(device)
        return sorted((found.profiles[one.profile].name.decode(), one.start,
                       [compute.uuid.decode() for compute in one.computes if compute.used])
                      for one in found.instances if one.used)

    def computes(self, device: int) -> list[tuple[int, int, int]]:
        """Return the compute instances: first slot of the GPU instance, first compute slice in that, how many slices."""
        return sorted((one.start, compute.start, compute.size) for one in self.device(device).instances if one.used
                      for compute in one.computes if compute.used)

    def add_compute(self, device: int, start: int, offset: int) -> None:
        """Somebody makes a compute instance of one slice in an instance."""
        one = next(one for one in self.device(device).instances if one.used and one.start == start)
        compute = next(compute for compute in one.computes if not compute.used)
        compute.used, compute.size, compute.profile, compute.start = 1, 1, 0, offset
        compute.uuid = self._mig_uuid(device, one, offset)

    def destroy_instance(self, device: int, start: int) -> None:
        """Somebody takes an instance apart."""
        for one in self.device(device).instances:
            if one.used and one.start == start:
                ctypes.memset(ctypes.addressof(one), 0, ctypes.sizeof(one))

    def add_instance(self, device: int, profile: str, start: int) -> None:
        """Somebody makes an instance, with one compute instance."""
        found = self.device(device)
        index = next(i for i, one in enumerate(found.profiles) if one.sms and one.name.decode() == profile)
        position, one = next((i, one) for i, one in enumerate(found.instances) if not one.used)
        one.used, one.profile, one.start, one.id = 1, index, start, position + 1
        compute = one.computes[0]
        compute.used, compute.size = 1, found.profiles[index].slices
        more = index == layout.ONE_SLICE_REV2 and found.profiles[index].sms > found.profiles[layout.ONE_SLICE].sms
        compute.profile = layout.COMPUTE_ONE_SLICE_REV1 if more else {1: 0, 2: 1, 3: 2, 4: 3, 7: 4}[compute.size]
        compute.uuid = self._mig_uuid(device, one, 0)

    def _mig_uuid(self, device: int, instance: Any, offset: int) -> bytes:
        """Return what the library gives a compute instance, too."""
        found = self.device(device)
        return (f'MIG-{found.pci_id:08x}-{found.minor:04x}-5{instance.profile:03x}-8{instance.start:03x}-'
                f'{offset:012x}').encode()

    def _fill(self, description: dict[str, Any]) -> None:
        state = self.state
        state.driver, state.nvml = description['driver'].encode(), description['nvml'].encode()
        state.cuda, state.init_code = description['cuda'], description.get('init_code', 0)
        entries = description.get('devices', [])
        for index, entry in enumerate(entries):
            self._device(index, {**statefile.models(HERE)[entry['model']], **entry}, description)
        state.devices_count = len(entries)
        for index, entry in enumerate(entries):
            for instance in entry.get('instances', []):
                self.add_instance(index, instance['profile'], instance['start'])
        state.size, state.version = ctypes.sizeof(state), layout.VERSION

    def _device(self, index: int, given: dict[str, Any], host: dict[str, Any]) -> None:
        device = self.state.devices[index]
        for name in ('architecture', 'brand', 'sms', 'cores', 'memory', 'reserved', 'pci_id', 'lost', 'virtualization',
                     'remap_failure', 'remap_pending', 'recovery'):
            if name in given:
                setattr(device, name, given[name])
        identity = uuid.uuid5(NAMESPACE, f'{given["model"]}/{index}/{given["bus"]}')
        device.name, device.uuid = given['name'].encode(), f'GPU-{identity}'.encode()
        device.serial = str(given.get('serial', f'{identity.int % 10**13:013d}')).encode()
        device.pci_bus = given['bus']
        device.bus_id = f'00000000:{given["bus"]:02X}:00.0'.encode()
        device.minor, device.numa_node = index, given['numa']
        device.cpu_first, device.cpu_last = given['cpus']
        device.cc_major, device.cc_minor = given['cc']
        device.ecc, device.persistence = given.get('ecc', 1), given.get('persistence', 1)
        device.temperature, device.temperature_slowdown = 38, given['slowdown']
        device.power, device.power_limit = 61_000, given['power_limit'] * 1000
        device.clock_sm_max, device.clock_memory_max = given['clocks']
        device.clock_sm, device.clock_memory = 210, given['clocks'][1]
        device.energy, device.recovery_known = 5_000_000_000, host.get('recovery_known', True)
        device.throttle = 1  # idle
        self._mig(device, given)
        self._links(device, given, host)
        for slot, process in zip(device.processes, given.get('processes', []), strict=False):
            slot.pid, slot.memory, slot.instance = process['pid'], process['memory'], NO_INSTANCE
        for slot, (number, name, memory, most, *backed) in zip(device.vgpus, given.get('vgpus', []), strict=False):
            slot.id, slot.name, slot.memory, slot.most = number, name.encode(), memory, most
            slot.profile = backed[0] if backed else layout.NO_PROFILE

    @staticmethod
    def _mig(device: Any, given: dict[str, Any]) -> None:
        table = statefile.models(HERE)[given['model']].get('mig')
        if table is None:
            return
        device.mig_capable, device.mig_slots = 1, table['slots']
        device.mig = device.mig_pending = int(given.get('mig') is True)
        for index, row in table['profiles'].items():
            profile = device.profiles[index]
            (profile.id, name, profile.slices, profile.count, profile.sms, profile.copy, profile.decoders,
             profile.jpeg, profile.ofa, profile.memory, profile.size, starts) = row
            profile.name, profile.starts_count = name.encode(), len(starts)
            profile.starts[:len(starts)] = starts

    @staticmethod
    def _links(device: Any, given: dict[str, Any], host: dict[str, Any]) -> None:
        remotes = [(2, host['switches'][i % len(host['switches'])]) for i in range(given.get('switch_links', 0))]
        remotes += [(0, f'00000000:{peer:02X}:00.0') for peer in given.get('peers', [])
                    for _ in range(given['peer_links'])]
        for link, (kind, remote) in zip(device.links, remotes, strict=False):
            link.present = link.active = 1
            link.version, link.kind, link.remote = 6, kind, remote.encode()
