# SPDX-License-Identifier: Apache-2.0
"""npu-smi for tests: prints, as the real one does, what the state file of FAKE_DCMI_STATE says."""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[3]))

from tests.fakes.dcmi import layout

LINE = '+' + '-' * 27 + '+' + '-' * 15 + '+' + '-' * 52 + '+'
WORDS = {0: 'OK', 1: 'Warning', 2: 'Alarm', 3: 'Critical'}


def pci(device: layout.Device, width: str = '') -> str:
    return f'{device.pci_domain:04X}:{device.pci_bus:02X}:00.{0:{width}X}'


def overview(state: layout.State, devices: list[layout.Device]) -> None:
    version = state.driver.decode()
    print(LINE, f'| npu-smi {version:<24} Version: {version:<53} |', LINE, sep='\n')
    print('| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|')
    print('| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |')
    print(LINE.replace('-', '='))
    for one in devices:
        ddr, hbm = ((0, 0), (one.used, one.memory)) if one.hbm else ((one.used, one.memory), (0, 0))
        print(f'| {one.card:<5} {one.name.decode():<20}| {WORDS[one.health]:<13} | {one.power / 10:<11.1f} '
              f'{one.temperature:<17} {0:<6}/ {0:<13} |')
        print(f'| {one.chip:<26}| {pci(one, "<2"):<14}| {one.utilization:<11} {ddr[0]:<5}/ {ddr[1]:<10} '
              f'{hbm[0]:<6}/ {hbm[1]:<13} |')
        print(LINE.replace('-', '='))
    print('| NPU     Chip              | Process id    | Process name             | Process memory(MB)      |')
    for one in devices:
        for process in one.processes:
            if process.pid:
                print(f'| {one.card:<7} {one.chip:<18}| {process.pid:<14}| {"python3":<25}| {process.memory:<24}|')


def mapping(devices: list[layout.Device]) -> None:
    def row(*cells: object) -> None:
        print('\t' + ''.join(f'{cell!s:<30}' for cell in cells))

    row('NPU ID', 'Chip ID', 'Chip Logic ID', 'Chip Phy-ID', 'Chip Name')
    for index, one in enumerate(devices):
        row(one.card, one.chip, index, index, f'Ascend {one.name.decode()}')
        row(one.card, one.chip + 8, '-', '-', 'Mcu')


def detail(**values: object) -> None:
    for name, value in values.items():
        print(f'\t{name.replace("_", " "):<30} : {value}')


def vnpus(device: layout.Device) -> None:
    print('|  VNPU ID   |  VGroup ID     |  Container ID  |  Status  |  Template Name  |')
    for one in device.vdevices:
        if one.used:
            name = device.templates[one.template].name.decode()
            group = 'NA' if one.group == layout.ANY else one.group
            print(f'|  {one.id:<4}     |  {group:<12}  |  {"000000000000":<12}  |  {one.container:<2}      |  {name:<15}     |')


def templates(device: layout.Device) -> None:
    line = '+' + '-' * 90 + '+'
    print(line, '|NPU instance template info is:                                                            |',
          '|Name                AICORE    Memory    AICPU     VPC            VENC           JPEGD     |',
          '|                               GB                 PNGD           VDEC           JPEGE     |',
          line.replace('-', '=').replace('+', '|'), sep='\n')
    for one in device.templates[:device.templates_count]:
        print(f'|{one.name.decode():<19} {one.aicore:<9} {-(-one.memory // 1024):<9} {one.aicpu:<9} {1:<14} {0:<14} '
              f'{one.jpegd:<9} |')
        print(f'|{"":<19} {"":<9} {"":<9} {"":<9} {0:<14} {1:<14} {1:<9} |')
        print(line)


def main() -> int:
    state = layout.State.from_buffer_copy(pathlib.Path(os.environ['FAKE_DCMI_STATE']).read_bytes())
    devices = [one for one in state.devices[:state.devices_count] if not one.gone]
    arguments = sys.argv[1:]
    options = dict(zip(arguments[1::2], arguments[2::2], strict=False))
    here = [one for one in devices if str(one.card) == options.get('-i') and str(one.chip) == options.get('-c', '0')]
    match options.get('-t'):
        case None if arguments == ['info', '-m']:
            mapping(devices)
        case None:
            overview(state, devices)
        case 'vnpu-mode':
            detail(**{'vnpu-mode': 'vm' if state.mode else 'docker'})
        case 'vnpu-cfg-recover':
            detail(**{'VNPU config recover mode': 'Enable' if state.recover else 'Disable'})
        case 'board' if here:
            detail(NPU_ID=here[0].card, Chip_ID=here[0].chip, PCI_Vendor_ID=f'0x{here[0].vendor:04X}',
                   PCI_Device_ID=f'0x{here[0].pci_id:04X}', VDie_ID=' '.join(f'{part:08X}' for part in here[0].die))
        case 'common' if here:
            detail(NPU_ID=here[0].card, Chip_ID=here[0].chip, Aicore_Count=here[0].aicore)
        case 'info-vnpu' if here:
            vnpus(here[0])
        case 'template-info' if here and here[0].templates_count:
            templates(here[0])
        case _:
            print('This device does not support this command, or there is none of this id.')
            return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
