# SPDX-License-Identifier: Apache-2.0
"""The only part that calls Huawei's DCMI: a process of its own, asked over a pipe, one JSON line for each call.

:mod:`accelpool.drivers.vendor` starts it by its path.  It imports nothing of accelpool.  Structures and constants are
DCMI's public ABI; a function that an older library lacks counts as not supported.

Chips up to A3 are named by card and chip, the 950 by one device number and functions of its own (``dcmiv2_*``), which
refuse older chips as the old ones refuse the 950.  Here a 950 is chip 0 of the card of its number.
"""

import ctypes
import json
import sys
from collections.abc import Callable
from ctypes import byref, c_char, c_float, c_int, c_ubyte, c_uint, c_ulong, c_ulonglong, c_ushort
from typing import Any

#: Where the driver installs the library; the loader's path comes first.
PLACES = ('libdcmi.so', '/usr/local/dcmi/lib64/libdcmi.so', '/usr/local/dcmi/libdcmi.so',
          '/usr/local/Ascend/driver/lib64/driver/libdcmi.so', '/usr/local/Ascend/driver/lib64/common/libdcmi.so')
NOT_SUPPORT, CONFIG_NOT_EXIST, NOT_PERMITTED, NOT_FOUND = -8255, -8023, -8002, -1
NPU, VDIE, DDIE, AICORE_RATE, VDEVICES = 0, 1, 2, 2, 52
#: Two chips that reach each other without the PCI bus: HCCS, two dies of a package, HCCS through a switch, UB.
LINKED = frozenset({3, 6, 7, 8})
SMP = 1
#: What the family of the 950 calls otherwise.
RENAMED = {
    'get_device_chip_info_v2': 'get_device_chip_info', 'get_device_pcie_info_v2': 'get_device_pcie_info',
    'get_device_die_v2': 'get_device_die_id', 'get_device_errorcode_v2': 'get_device_errorcode',
    'get_affinity_cpu_info_by_device_id': 'get_affinity_cpu_info_by_dev_id'}
#: On a split chip the AI core utilization has this bit and means nothing.
MEANINGLESS = 0x200
ANY = 0xffffffff
MOST_CARDS, MOST_PROCESSES, MOST_ERRORS = 64, 256, 16

_library: Any = None
_v2 = False


class Failed(Exception):
    """DCMI answered with an error."""

    def __init__(self, call: str, code: int) -> None:
        super().__init__(f'{call} answered {code}')
        self.call = call
        self.code = code


class Chip(ctypes.Structure):
    _fields_ = [('type', c_char * 32), ('name', c_char * 32), ('version', c_char * 32), ('aicore', c_uint),
                ('npu', c_char * 32)]


class Pcie(ctypes.Structure):
    _fields_ = [('vendor', c_uint), ('subvendor', c_uint), ('device', c_uint), ('subdevice', c_uint), ('domain', c_int),
                ('bus', c_uint), ('slot', c_uint), ('function', c_uint), ('spare', c_ubyte * 32)]


class Die(ctypes.Structure):
    _fields_ = [('soc', c_uint * 5)]


class Hbm(ctypes.Structure):
    _fields_ = [('size', c_ulonglong), ('frequency', c_uint), ('usage', c_ulonglong), ('temperature', c_int),
                ('bandwidth', c_uint)]


class Memory(ctypes.Structure):
    _fields_ = [('size', c_ulonglong), ('available', c_ulonglong), ('frequency', c_uint), ('hugepage_size', c_ulong),
                ('hugepages_total', c_ulong), ('hugepages_free', c_ulong), ('utilization', c_uint),
                ('spare', c_ubyte * 60)]


class Process(ctypes.Structure):
    _fields_ = [('pid', c_int), ('usage', c_ulong)]


class Base(ctypes.Structure):
    _fields_ = [('token', c_ulonglong), ('most', c_ulonglong), ('timeout', c_ulonglong), ('group', c_uint),
                ('vip', c_ubyte), ('spare', c_ubyte * 31)]


class Computing(ctypes.Structure):
    _fields_ = [('aic', c_float), ('aiv', c_float), ('queues', c_ushort * 8), ('memory', c_ulonglong),
                ('event', c_uint), ('notify', c_uint), ('stream', c_uint), ('model', c_uint),
                ('topic_aicpu', c_ushort), ('host_cpu', c_ushort), ('host_aicpu', c_ushort), ('aicpu', c_ushort),
                ('topic_slot', c_ushort), ('utilization', c_uint), ('total', c_ulonglong), ('free', c_ulonglong),
                ('spare', c_ubyte * 12)]


class Media(ctypes.Structure):
    _fields_ = [('jpegd', c_float), ('jpege', c_float), ('vpc', c_float), ('vdec', c_float), ('pngd', c_float),
                ('venc', c_float), ('spare', c_ubyte * 32)]


class Total(ctypes.Structure):
    _fields_ = [('count', c_uint), ('ids', c_uint * 32), ('groups', c_uint), ('bitmap', c_uint), ('base', Base),
                ('computing', Computing), ('media', Media)]


class Vdevice(ctypes.Structure):
    _fields_ = [('name', c_char * 16), ('status', c_uint), ('used', c_uint), ('vfid', c_uint), ('group', c_uint),
                ('container', c_ulonglong), ('base', Base), ('computing', Computing), ('media', Media)]


class Query(ctypes.Structure):
    _fields_ = [('id', c_uint), ('found', Vdevice)]  # a structure of its own: it starts at a multiple of eight


class Wanted(ctypes.Structure):
    _fields_ = [('id', c_uint), ('group', c_uint), ('name', c_char * 32), ('spare', c_ubyte * 64)]


class Made(ctypes.Structure):
    _fields_ = [('id', c_uint), ('bus', c_uint), ('slot', c_uint), ('function', c_uint), ('group', c_uint),
                ('spare', c_ubyte * 32)]


def call(name: str, *arguments: Any) -> None:
    """:raises Failed: with DCMI's code; not supported where the library lacks the function"""
    try:
        function = getattr(_library, name)
    except AttributeError:
        raise Failed(name, NOT_SUPPORT) from None
    code = function(*arguments)
    if code:
        raise Failed(name, code)


def ask(name: str, card: int, chip: int, *arguments: Any) -> None:
    """Call a function that concerns a chip, in the family that the host has.

    :raises Failed: with DCMI's code
    """
    if _v2:
        call(f'dcmiv2_{RENAMED.get(name, name)}', card, *arguments)
    else:
        call(f'dcmi_{name}', card, chip, *arguments)


def optional(read: Callable[..., Any], *arguments: Any) -> Any:
    """Return the answer, None when chip or driver lack it."""
    try:
        return read(*arguments)
    except Failed as error:
        if error.code == NOT_SUPPORT:
            return None
        raise


def open_() -> None:
    """Open the library, initialise it and find out which family of functions it has for this host's chips."""
    global _library, _v2  # noqa: PLW0603
    for place in PLACES:
        try:
            _library = ctypes.CDLL(place)
            break
        except OSError:
            continue
    else:
        raise Failed('libdcmi.so cannot be opened', NOT_FOUND)
    try:
        call('dcmi_init')
        _v2 = optional(_cards) is None
    except Failed as error:
        if error.code == NOT_SUPPORT:
            _v2 = True
        elif error.call == 'dcmi_init':
            raise
    if _v2:
        call('dcmiv2_init')


def host() -> dict[str, Any]:
    """Return versions, the vNPU mode, and the chips as [card, chip]."""
    return {'driver': optional(_text, 'get_driver_version'), 'dcmi': optional(_text, 'get_dcmi_version'),
            'mode': None if _v2 else _mode(), 'chips': [place for place in _places() if _is_npu(*place)]}


def recover() -> bool | None:
    """Return whether the driver makes its vNPUs again after a restart of the host; None where it does not tell."""
    mode = c_uint(0)
    try:
        call('dcmi_get_vnpu_config_recover_mode', byref(mode))
    except Failed:
        return None
    return bool(mode.value)


def islands(chips: list[tuple[int, int]]) -> list[list[int]] | None:
    """Return the pairs of chips, by their places in the list, that a fabric joins; None when that cannot be told."""
    if _v2:
        return None
    pairs, kind = [], c_int(0)
    for i, first in enumerate(chips):
        for k in range(i):
            try:
                call('dcmi_get_topo_info_by_device_id', *first, *chips[k], byref(kind))
            except Failed as error:
                if error.code == NOT_SUPPORT:
                    return None
                continue  # one that does not answer is in no island
            if kind.value in LINKED:
                pairs.append([k, i])
    return pairs


def identity(card: int, chip: int) -> dict[str, Any]:
    """Return what does not change of a chip."""
    info, pcie, die = _chip_info(card, chip), Pcie(), Die()
    ask('get_device_pcie_info_v2', card, chip, byref(pcie))
    ask('get_device_die_v2', card, chip, DDIE if _v2 else VDIE, byref(die))
    logic, physical = _numbers(card, chip)
    return {'card': card, 'chip': chip, 'name': info.name.decode(), 'aicore': info.aicore,
            'pci': f'{pcie.domain & 0xffff:04x}:{pcie.bus:02x}:{pcie.slot:02x}.{pcie.function:x}',
            'pci_id': f'{pcie.vendor:04x}:{pcie.device:04x}', 'die': '-'.join(f'{part:08X}' for part in die.soc),
            'logic': logic, 'physical': physical, 'memory': _memory(card, chip)[0],
            'cpus': optional(_cpus, card, chip), 'smp': bool(optional(_smp, card))}


def condition(card: int, chip: int) -> dict[str, Any]:
    """Return what changes: health, sensors, processes, vNPUs."""
    health, total = c_uint(0), optional(_total, card, chip)
    ask('get_device_health', card, chip, byref(health))
    return {
        'health': health.value, 'errors': optional(_errors, card, chip) or [], 'memory_used': _memory(card, chip)[1],
        'temperature': optional(_number, 'get_device_temperature', card, chip),
        'power_watts': _tenth(optional(_number, 'get_device_power_info', card, chip)),
        'utilization': optional(_utilization, card, chip), 'processes': optional(_processes, card, chip) or [],
        'capacity': total and _resources(total.computing, total.media),
        'vdevices': [_vdevice(card, chip, total.ids[i]) for i in range(total.count)] if total else []}


def create(card: int, chip: int, template: str, identifier: int | None) -> int:
    """Make a vNPU, with an id of its own or one that is free; return its id."""
    wanted, made = Wanted(id=ANY if identifier is None else identifier, group=ANY, name=template.encode()), Made()
    call('dcmi_create_vdevice', card, chip, byref(wanted), byref(made))
    return int(made.id)


def set_mode(mode: int) -> None:
    """Have the host's vNPUs for containers (0) or for VMs (1)."""
    call('dcmi_set_vdevice_mode', mode)


def destroy(card: int, chip: int, identifier: int) -> None:
    """Take a vNPU apart; one that is not there is no error."""
    try:
        call('dcmi_set_destroy_vdevice', card, chip, identifier)
    except Failed as error:
        if error.code != CONFIG_NOT_EXIST:
            raise


def _mode() -> int | None:
    """Return what the host's vNPUs are for; None where the driver has no modes or tells them to root only."""
    mode = c_int(0)
    try:
        call('dcmi_get_vdevice_mode', byref(mode))
    except Failed as error:
        if error.code not in {NOT_SUPPORT, NOT_PERMITTED}:
            raise
        return None
    return mode.value


def _places() -> list[list[int]]:
    """Return everything that has a place of a chip."""
    if _v2:
        count, devices = c_int(0), (c_int * MOST_CARDS)()
        call('dcmiv2_get_device_list', devices, byref(count), MOST_CARDS)  # the other way round than the old one
        return [[device, 0] for device in devices[:count.value]]
    places = []
    for card in _cards():
        most, mcu, cpu = c_int(0), c_int(0), c_int(0)
        call('dcmi_get_device_id_in_card', card, byref(most), byref(mcu), byref(cpu))
        places += [[card, chip] for chip in range(most.value)]
    return places


def _cards() -> list[int]:
    count, cards = c_int(0), (c_int * MOST_CARDS)()
    try:
        call('dcmi_get_card_list', byref(count), cards, MOST_CARDS)
    except Failed as error:
        if error.code != NOT_SUPPORT:
            raise
        call('dcmi_get_card_num_list', byref(count), cards, MOST_CARDS)
    return cards[:count.value]


def _is_npu(card: int, chip: int) -> bool:
    """A sick one counts: asked for itself it says how it is."""
    kind = c_int(-1)
    try:
        ask('get_device_type', card, chip, byref(kind))
    except Failed:
        return True
    return kind.value == NPU


def _chip_info(card: int, chip: int) -> Chip:
    info = Chip()
    try:
        ask('get_device_chip_info_v2', card, chip, byref(info))
    except Failed as error:
        if error.code != NOT_SUPPORT:
            raise
        ask('get_device_chip_info', card, chip, byref(info))  # fills all of it but the last field
    return info


def _numbers(card: int, chip: int) -> tuple[int, int]:
    """Return a chip's logical and physical number."""
    logic, physical = c_int(card), c_uint(card)
    if _v2:
        optional(call, 'dcmiv2_get_chip_phyid_from_dev_id', card, byref(physical))
    else:
        call('dcmi_get_device_logic_id', byref(logic), card, chip)
        call('dcmi_get_device_phyid_from_logicid', logic.value, byref(physical))
    return logic.value, physical.value


def _smp(card: int) -> bool:
    """Whether the chips of a card work as one with the host's processors: a mode of the 910A without vNPUs."""
    mode = c_ubyte(0)
    call('dcmi_get_npu_work_mode', card, byref(mode))
    return mode.value == SMP


def _text(name: str) -> str:
    buffer = ctypes.create_string_buffer(64)
    call(('dcmiv2_' if _v2 else 'dcmi_') + name, buffer, 64)
    return buffer.value.decode()


def _number(name: str, card: int, chip: int) -> int:
    value = c_int(0)
    ask(name, card, chip, byref(value))
    return value.value


def _tenth(value: int | None) -> float | None:
    return None if value is None else value / 10


def _utilization(card: int, chip: int) -> int:
    rate = c_uint(0)
    ask('get_device_utilization_rate', card, chip, AICORE_RATE, byref(rate))
    return 0 if rate.value & MEANINGLESS else rate.value


def _memory(card: int, chip: int) -> tuple[int, int]:
    """Return (total, used) in MB: HBM where there is some, DDR otherwise."""
    hbm, ddr = Hbm(), Memory()
    try:
        ask('get_device_hbm_info', card, chip, byref(hbm))
        if hbm.size:
            return hbm.size, hbm.usage
    except Failed as error:
        if error.code != NOT_SUPPORT:
            raise
    ask('get_device_memory_info_v3', card, chip, byref(ddr))
    return ddr.size, ddr.size - ddr.available


def _cpus(card: int, chip: int) -> str:
    buffer, length = ctypes.create_string_buffer(256), c_int(256)
    ask('get_affinity_cpu_info_by_device_id', card, chip, buffer, byref(length))
    return buffer.value.decode()


def _errors(card: int, chip: int) -> list[str]:
    count, codes = c_int(0), (c_uint * MOST_ERRORS)()
    ask('get_device_errorcode_v2', card, chip, byref(count), codes, MOST_ERRORS)
    return [f'{codes[i]:08X}' for i in range(min(count.value, MOST_ERRORS))]


def _processes(card: int, chip: int) -> list[int]:
    found, count = (Process * MOST_PROCESSES)(), c_int(0)
    ask('get_device_resource_info', card, chip, found, byref(count))
    return [found[i].pid for i in range(min(count.value, MOST_PROCESSES))]


def _total(card: int, chip: int) -> Total:
    total, size = Total(), c_uint(ctypes.sizeof(Total))
    ask('get_device_info', card, chip, VDEVICES, 1, byref(total), byref(size))
    return total


def _vdevice(card: int, chip: int, identifier: int) -> dict[str, Any]:
    query, size = Query(id=identifier), c_uint(ctypes.sizeof(Query))
    ask('get_device_info', card, chip, VDEVICES, 0, byref(query), byref(size))
    found = query.found
    group = None if found.base.group == ANY else found.base.group
    return {'id': identifier, 'template': found.name.decode(errors='replace'), 'group': group,
            'needs': _resources(found.computing, found.media), 'container': bool(found.used)}


def _resources(computing: Computing, media: Media) -> dict[str, int]:
    return {'aicore': int(computing.aic), 'aicpu': computing.aicpu, 'jpegd': int(media.jpegd),
            'memory': computing.memory}


CALLS: dict[str, Callable[..., Any]] = {
    'open': open_, 'host': host, 'identity': identity, 'condition': condition, 'create': create, 'destroy': destroy,
    'islands': islands, 'recover': recover, 'set_mode': set_mode}


def main() -> None:
    """Answer lines until the pipe closes."""
    for line in sys.stdin:
        name, arguments = json.loads(line)
        try:
            answer: dict[str, Any] = {'result': CALLS[name](*arguments)}
        except Failed as error:
            answer = {'code': error.code, 'error': str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == '__main__':
    main()
