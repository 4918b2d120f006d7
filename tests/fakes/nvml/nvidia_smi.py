# SPDX-License-Identifier: Apache-2.0
"""nvidia-smi for tests: prints, as the real one does, what the state file of FAKE_NVML_STATE says."""

import os
import pathlib
import sys
from xml.etree import ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).parents[3]))

from tests.fakes.nvml import layout

ARCHITECTURES = {5: 'Volta', 6: 'Turing', 7: 'Ampere', 8: 'Ada Lovelace', 9: 'Hopper', 10: 'Blackwell'}
VIRTUALIZATION = ('None', 'Pass-Through', 'VGPU', 'Host VGPU', 'Host VSGA')


def switched(on: int, known: int = 1) -> str:
    return ('Enabled' if on else 'Disabled') if known else 'N/A'


def used(device: layout.Device) -> int:
    """Return MiB without what the driver reserves."""
    return int(device.used + sum(one.memory for one in device.processes if one.pid))


def elements(one: layout.Device) -> dict[str, str]:
    """Return what ``-q -x`` tells of a device, by path."""
    return {
        'product_name': one.name.decode(), 'product_architecture': ARCHITECTURES[one.architecture],
        'persistence_mode': switched(one.persistence), 'mig_mode/current_mig': switched(one.mig, one.mig_capable),
        'serial': one.serial.decode(), 'uuid': one.uuid.decode(), 'minor_number': str(one.minor),
        'gpu_virtualization_mode/virtualization_mode': VIRTUALIZATION[one.virtualization],
        'fb_memory_usage/total': f'{one.memory} MiB', 'fb_memory_usage/reserved': f'{one.reserved} MiB',
        'fb_memory_usage/used': f'{used(one)} MiB',
        'ecc_mode/current_ecc': switched(one.ecc),
        'remapped_rows/remapped_row_failure': 'Yes' if one.remap_failure else 'No',
        'temperature/gpu_temp': f'{one.temperature} C', 'clocks/sm_clock': f'{one.clock_sm} MHz',
        'gpu_power_readings/current_power_limit': f'{one.power_limit / 1000:.2f} W',
        'max_clocks/sm_clock': f'{one.clock_sm_max} MHz', 'max_clocks/mem_clock': f'{one.clock_memory_max} MHz'}


def query(state: layout.State, devices: list[layout.Device]) -> None:
    """Print ``-q -x``."""
    log = ElementTree.Element('nvidia_smi_log')
    ElementTree.SubElement(log, 'driver_version').text = state.driver.decode()
    ElementTree.SubElement(log, 'cuda_version').text = f'{state.cuda // 1000}.{state.cuda % 1000 // 10}'
    for one in devices:
        gpu = ElementTree.SubElement(log, 'gpu', id=one.bus_id.decode())
        for path, text in elements(one).items():
            above = gpu
            *outer, name = path.split('/')
            for part in outer:
                found = above.find(part)
                above = ElementTree.SubElement(above, part) if found is None else found
            ElementTree.SubElement(above, name).text = text
    ElementTree.indent(log, '\t')
    print(ElementTree.tostring(log, encoding='unicode', xml_declaration=True))


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
        print('\t'.join([name, *ways, f'{one.cpu_first}-{one.cpu_last}', str(one.numa_node), '', 'N/A']))
    print('\nLegend:\n\n  X    = Self\n  NV#  = Connection traversing a bonded set of # NVLinks')


def main() -> int:
    state = layout.State.from_buffer_copy(pathlib.Path(os.environ['FAKE_NVML_STATE']).read_bytes())
    devices = [one for one in state.devices[:state.devices_count] if not one.gone and not one.lost]
    match sys.argv[1:]:
        case ['-q', '-x']:
            query(state, devices)
        case ['-L']:
            for index, one in enumerate(devices):
                print(f'GPU {index}: {one.name.decode()} (UUID: {one.uuid.decode()})')
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
