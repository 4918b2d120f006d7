# SPDX-License-Identifier: Apache-2.0
"""nvidia-smi for tests: prints, as the real one does, what the state file of FAKE_NVML_STATE says."""

import os
import pathlib
import sys
from xml.etree import ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).parents[3]))

from tests.fakes.nvml import layout

ARCHITECTURES = {5: 'Volta', 6: 'Turing', 7: 'Ampere', 8: 'Ada Lovelace', 9: 'Hopper', 10: 'Blackwell'}
COMPUTE_MODES = ('Default', 'Exclusive_Thread', 'Prohibited', 'Exclusive_Process')
#: Reasons for low clocks, by NVML's bits.
REASONS = {
    'gpu_idle': 0x1, 'applications_clocks_setting': 0x2, 'sw_power_cap': 0x4, 'hw_slowdown': 0x8, 'sync_boost': 0x10,
    'sw_thermal_slowdown': 0x20, 'hw_thermal_slowdown': 0x40, 'hw_power_brake_slowdown': 0x80,
    'display_clocks_setting': 0x100}
#: Processes, by the state's kinds.
KINDS = ('C', 'G', 'M+C')
NO_INSTANCE = 0xffffffff
VIRTUALIZATION = ('None', 'Pass-Through', 'VGPU', 'Host VGPU', 'Host VSGA')


def switched(on: int, known: int = 1) -> str:
    return ('Enabled' if on else 'Disabled') if known else 'N/A'


def used(device: layout.Device) -> int:
    """Return MiB without what the driver reserves."""
    return int(device.used + sum(one.memory for one in device.processes if one.pid))


def percent(rate: int, device: layout.Device) -> str:
    return 'N/A' if device.mig else f'{rate} %'


def elements(one: layout.Device, release: int) -> dict[str, str]:
    """Return what ``-q -x`` of a release of the driver tells of a device, by path."""
    return {
        'product_name': one.name.decode(), 'product_architecture': ARCHITECTURES[one.architecture],
        'persistence_mode': switched(one.persistence), 'mig_mode/current_mig': switched(one.mig, one.mig_capable),
        'serial': one.serial.decode(), 'uuid': one.uuid.decode(), 'minor_number': str(one.minor),
        'gpu_virtualization_mode/virtualization_mode': VIRTUALIZATION[one.virtualization],
        **{f'clocks_event_reasons/clocks_event_reason_{name}': 'Active' if one.throttle & bit else 'Not Active'
           for name, bit in REASONS.items()},
        'fb_memory_usage/total': f'{one.memory} MiB', 'fb_memory_usage/reserved': f'{one.reserved} MiB',
        'fb_memory_usage/used': f'{used(one)} MiB',
        'fb_memory_usage/free': f'{one.memory - one.reserved - used(one)} MiB',
        'compute_mode': COMPUTE_MODES[one.compute_mode],
        'utilization/gpu_util': percent(one.utilization, one),
        'utilization/memory_util': percent(one.utilization_memory, one),
        'ecc_mode/current_ecc': switched(one.ecc), **ecc(one, release),
        'remapped_rows/remapped_row_failure': 'Yes' if one.remap_failure else 'No',
        'temperature/gpu_temp': f'{one.temperature} C',
        **{f'gpu_power_readings/{name}': f'{one.power / 1000:.2f} W'
           for name in (('average_power_draw', 'instant_power_draw') if release >= 575 else ('power_draw',))},
        'gpu_power_readings/current_power_limit': f'{one.power_limit / 1000:.2f} W',
        'clocks/sm_clock': f'{one.clock_sm} MHz', 'clocks/mem_clock': f'{one.clock_memory} MHz',
        'max_clocks/sm_clock': f'{one.clock_sm_max} MHz', 'max_clocks/mem_clock': f'{one.clock_memory_max} MHz'}


def ecc(one: layout.Device, release: int) -> dict[str, str]:
    """Return the errors since the driver was loaded; these are of the device's memory."""
    sram = ('sram_uncorrectable_parity', 'sram_uncorrectable_secded') if release >= 550 else ('sram_uncorrectable',)
    counts = {'sram_correctable': 0, **dict.fromkeys(sram, 0), 'dram_correctable': one.ecc_corrected,
              'dram_uncorrectable': one.ecc_uncorrected}
    return {f'ecc_errors/volatile/{name}': str(count) if one.ecc else 'N/A' for name, count in counts.items()}


def mig_devices(one: layout.Device) -> list[tuple[str, layout.Instance, int, layout.Compute]]:
    """Return the MIG devices: name, GPU instance, number of the compute instance and the compute instance."""
    found = []
    for instance in one.instances:
        name, slices = one.profiles[instance.profile].name.decode(), one.profiles[instance.profile].slices
        for number, compute in enumerate(instance.computes):
            if one.mig and instance.used and compute.used:
                part = '' if compute.size >= slices else f'{compute.size}c.'
                found.append((f'MIG {part}{name.removeprefix("MIG ")}', instance, number, compute))
    return found


def multiprocessors(one: layout.Device, profile: layout.Profile, compute: layout.Compute) -> int:
    """Return how many multiprocessors a compute instance has."""
    if compute.profile == layout.COMPUTE_ONE_SLICE_REV1:
        return int(one.profiles[layout.ONE_SLICE_REV2].sms)
    whole = compute.size > 1 and compute.size == profile.slices
    return int(profile.sms if whole else one.profiles[layout.ONE_SLICE].sms * compute.size)


def add(above: ElementTree.Element, values: dict[str, str]) -> ElementTree.Element:
    """Add elements by their paths."""
    for path, text in values.items():
        place = above
        *outer, name = path.split('/')
        for part in outer:
            found = place.find(part)
            place = ElementTree.SubElement(place, part) if found is None else found
        ElementTree.SubElement(place, name).text = text
    return above


def query(state: layout.State, devices: list[layout.Device]) -> None:
    """Print ``-q -x``."""
    log = ElementTree.Element('nvidia_smi_log')
    add(log, {'driver_version': state.driver.decode(), 'cuda_version': f'{state.cuda // 1000}.{state.cuda % 1000 // 10}'})
    for one in devices:
        gpu = add(ElementTree.SubElement(log, 'gpu', id=one.bus_id.decode()),
                  elements(one, int(state.driver.split(b'.')[0])))
        inside = ElementTree.SubElement(gpu, 'mig_devices')
        inside.text = None if mig_devices(one) else 'None'
        for index, (_, instance, number, compute) in enumerate(mig_devices(one)):
            profile = one.profiles[instance.profile]
            add(ElementTree.SubElement(inside, 'mig_device'), {
                'index': str(index), 'gpu_instance_id': str(instance.id), 'compute_instance_id': str(number),
                'device_attributes/shared/multiprocessor_count': str(multiprocessors(one, profile, compute)),
                'fb_memory_usage/total': f'{profile.memory} MiB'})
        inside = ElementTree.SubElement(gpu, 'processes')
        for process in one.processes:
            if process.pid:
                whole = process.instance == NO_INSTANCE
                add(ElementTree.SubElement(inside, 'process_info'), {
                    'gpu_instance_id': 'N/A' if whole else str(process.instance),
                    'compute_instance_id': 'N/A' if whole else str(process.compute), 'pid': str(process.pid),
                    'type': KINDS[process.kind], 'used_memory': f'{process.memory} MiB'})
    ElementTree.indent(log, '\t')
    print(ElementTree.tostring(log, encoding='unicode', xml_declaration=True))


def listing(devices: list[layout.Device]) -> None:
    """Print ``-L``."""
    for index, one in enumerate(devices):
        print(f'GPU {index}: {one.name.decode()} (UUID: {one.uuid.decode()})')
        for number, (name, _, _, compute) in enumerate(mig_devices(one)):
            print(f'  {name:<15} Device {number:>2}: (UUID: {compute.uuid.decode()})')


def vgpus(devices: list[layout.Device]) -> None:
    """Print ``vgpu -s -v``."""
    for one in devices:
        if VIRTUALIZATION[one.virtualization] == 'Host VGPU':
            print(f'GPU {one.bus_id.decode()}')
            for kind in one.vgpus:
                if kind.id:
                    print(f'    vGPU Type ID                      : {kind.id:#x}')
                    for name, value in (('Name', kind.name.decode()), ('FB Memory', f'{kind.memory} MiB'),
                                        ('Max Instances', str(kind.most))):
                        print(f'        {name:<30}: {value}')


def joined(one: layout.Device, other: layout.Device) -> int:
    """Return how many NVLinks lead from a device to another, or to switches that both are at."""
    links = [link for link in one.links if link.present]
    if any(link.kind == 2 for link in other.links if link.present):
        return sum(link.kind == 2 for link in links)
    return sum(link.remote == other.bus_id for link in links)


def topology(devices: list[layout.Device]) -> None:
    """Print ``topo -m``."""
    names = [f'GPU{index}' for index in range(len(devices))]
    print('\x1b[4m\t' + '\t'.join([*names, 'CPU Affinity', 'NUMA Affinity', 'GPU NUMA ID']) + '\x1b[0m')
    for name, one in zip(names, devices, strict=True):
        ways = [' X ' if other is one else f'NV{joined(one, other)}' if joined(one, other) else 'SYS' for other in devices]
        nodes = '0-1' if one.numa_node < 0 else str(one.numa_node)
        print('\t'.join([name, *ways, f'{one.cpu_first}-{one.cpu_last}', nodes, '', 'N/A']))
    print('\nLegend:\n\n  X    = Self\n  NV#  = Connection traversing a bonded set of # NVLinks')


def main() -> int:
    state = layout.State.from_buffer_copy(pathlib.Path(os.environ['FAKE_NVML_STATE']).read_bytes())
    devices = [one for one in state.devices[:state.devices_count] if not one.gone and not one.lost]
    match sys.argv[1:]:
        case ['-q', '-x']:
            query(state, devices)
        case ['-L']:
            listing(devices)
        case ['vgpu', '-s', '-v']:
            vgpus(devices)
        case ['topo', '-m']:
            topology(devices)
        case ['--query-gpu=uuid,compute_cap', '--format=csv,noheader']:
            for one in devices:
                print(f'{one.uuid.decode()}, {one.cc_major}.{one.cc_minor}')
        case _:
            print('Invalid combination of input arguments. Please run \'nvidia-smi -h\' for help.')
            return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
