# SPDX-License-Identifier: Apache-2.0
"""The comparison of the hardware suite, on answers that are made up with the elements of nvidia-smi's."""

import dataclasses
import unittest
from typing import Any
from xml.etree import ElementTree

from accelpool.types import Device
from tests.hardware import smi

SAID = """<nvidia_smi_log>
  <driver_version>570.124.06</driver_version>
  <cuda_version>12.8</cuda_version>
  <gpu id="00000000:AF:00.0">
    <product_name>NVIDIA L4</product_name>
    <product_architecture>Ada Lovelace</product_architecture>
    <persistence_mode>Enabled</persistence_mode>
    <mig_mode><current_mig>N/A</current_mig></mig_mode>
    <serial>1322623077002</serial>
    <minor_number>1</minor_number>
    <compute_mode>Exclusive_Process</compute_mode>
    <gpu_virtualization_mode><virtualization_mode>Host VGPU</virtualization_mode></gpu_virtualization_mode>
    <fb_memory_usage><total>23034 MiB</total></fb_memory_usage>
    <ecc_mode><current_ecc>Disabled</current_ecc></ecc_mode>
    <gpu_power_readings>
      <current_power_limit>60.00 W</current_power_limit><default_power_limit>72.00 W</default_power_limit>
    </gpu_power_readings>
    <max_clocks><graphics_clock>2040 MHz</graphics_clock><sm_clock>2041 MHz</sm_clock><mem_clock>6251 MHz</mem_clock></max_clocks>
  </gpu>
</nvidia_smi_log>"""
DEVICE = Device(id='d', driver='nvidia', vendor='nvidia', model='L4', memory=23034, pci_address='0000:af:00.0', options={
    'driver': '570.124.06', 'cuda': '12.8', 'serial': '1322623077002', 'minor': 1, 'cc': '8.9', 'clock_max': 2041,
    'memory_clock_max': 6251, 'power_limit_watts': 60.0, 'ecc': False, 'persistence': True, 'mig': False,
    'mig_capable': False, 'architecture': 'ada', 'virtualization': 3, 'compute_mode': 3})


def differences(said: str = SAID, capability: str | None = '8.9', device: Device = DEVICE, **options: Any) -> dict[str, Any]:
    tree = ElementTree.fromstring(said)
    gpu = tree.find('gpu')
    assert gpu is not None
    return smi.differences(tree, gpu, capability, dataclasses.replace(device, options={**DEVICE.options, **options}))


class Comparing(unittest.TestCase):
    def test_what_is_equal(self) -> None:
        self.assertEqual({}, differences())
        tree = ElementTree.fromstring(SAID)
        self.assertEqual({
            'driver', 'CUDA', 'address', 'model', 'serial', 'minor', 'memory', 'SM clock', 'memory clock', 'power limit',
            'ECC', 'MIG', 'persistence', 'MIG capability', 'architecture', 'compute mode', 'virtualization'},
            smi.compared(tree, tree.findall('gpu')[0], DEVICE))

    def test_each_field_that_differs_is_named(self) -> None:
        for name, theirs, option, ours in (
                ('driver', '570.124.06', 'driver', '1'), ('CUDA', '12.8', 'cuda', '13.0'), ('minor', 1.0, 'minor', 2),
                ('serial', '1322623077002', 'serial', None), ('SM clock', 2041.0, 'clock_max', 6251),
                ('memory clock', 6251.0, 'memory_clock_max', 2040), ('power limit', 60.0, 'power_limit_watts', 72.0),
                ('ECC', False, 'ecc', True), ('MIG', False, 'mig', True), ('persistence', True, 'persistence', False),
                ('MIG capability', False, 'mig_capable', True), ('architecture', 'ada', 'architecture', 'ampere'),
                ('compute capability', '8.9', 'cc', '8.0')):
            with self.subTest(name):
                self.assertEqual({name: (theirs, ours)}, differences(**{option: ours}))
        self.assertEqual({'virtualization': ('HOSTVGPU', 'NONE')}, differences(virtualization=0))
        self.assertEqual({'virtualization': ('HOSTVGPU', None)}, differences(virtualization=None))
        self.assertEqual({'compute mode': ('EXCLUSIVEPROCESS', 'DEFAULT')}, differences(compute_mode=0))
        for name, change in (('model', {'model': 'L40'}), ('memory', {'memory': 23036}),
                             ('address', {'pci_address': '0000:3b:00.0'})):
            with self.subTest(name):
                self.assertEqual([name], list(differences(device=dataclasses.replace(DEVICE, **change))))

    def test_memory_is_what_programs_can_have(self) -> None:
        said = SAID.replace('<total>23034 MiB</total>', '<total>23034 MiB</total><reserved>456 MiB</reserved>')
        for memory, options, wrong in (
                (22578, {'virtualization': 0}, {}), (22577, {'virtualization': 0}, {}),  # rounded
                (23034, {'virtualization': 0}, {'memory': (22578.0, 23034)}), (23034, {}, {}),
                (22578, {}, {'memory': (23034.0, 22578)}), (23034, {'virtualization': 0, 'mig': True}, {})):
            with self.subTest(memory=memory, **options):
                found = differences(said, device=dataclasses.replace(DEVICE, memory=memory), **options)
                self.assertEqual(wrong, {name: one for name, one in found.items() if name == 'memory'})

    def test_what_nvidia_smi_does_not_tell_is_not_compared(self) -> None:
        said = '<nvidia_smi_log><gpu id="00000000:AF:00.0"><product_name>L4</product_name>' \
               '<persistence_mode>Requested functionality has been deprecated</persistence_mode></gpu></nvidia_smi_log>'
        self.assertEqual({}, differences(said, None, ecc=True, power_limit_watts=1.0, persistence=False))

    def test_what_a_device_does_not_have(self) -> None:
        said = SAID
        for text in ('1322623077002', '60.00 W', '2041 MHz', '6251 MHz', 'Host VGPU', 'Disabled'):
            said = said.replace(text, 'N/A')
        self.assertEqual({}, differences(said, serial=None, power_limit_watts=None, clock_max=None, memory_clock_max=None,
                                         virtualization=None))
        self.assertEqual({'serial': (None, '1')}, differences(said, serial='1', power_limit_watts=None, clock_max=None,
                                                              memory_clock_max=None, virtualization=None))

    def test_a_host_without_cuda_s_library(self) -> None:
        said = SAID.replace('>12.8<', '>Not Found<')
        self.assertEqual({}, differences(said), 'nvidia-smi finds no libcuda to ask')
        tree = ElementTree.fromstring(said)
        self.assertEqual(set(), {name for name in smi.traits(tree, tree.findall('gpu')[0], '8.9')[0] if 'SDK' in name})

    def test_modes_of_virtualization_as_they_are_spelled(self) -> None:
        for number, text in enumerate(('None', 'Pass-Through', 'VGPU', 'Host VGPU', 'Host VSGA')):
            self.assertEqual({}, differences(SAID.replace('Host VGPU', text), virtualization=number), text)

    def test_the_power_limit_where_drivers_are_to_move_it(self) -> None:
        said = SAID.replace('<current_power_limit>60.00 W</current_power_limit>', '<gpu_ceiling_power_limit><current_power_limit>'
                            '60.00 W</current_power_limit></gpu_ceiling_power_limit>')
        self.assertEqual({'power limit': (60.0, 72.0)}, differences(said, power_limit_watts=72.0))

    def test_the_power_limit_of_drivers_before_535(self) -> None:
        said = SAID.replace('gpu_power_readings', 'power_readings').replace('current_power_limit', 'enforced_power_limit')
        self.assertEqual({}, differences(said))
        self.assertEqual({}, differences(said, power_limit_watts=59.999), 'nvidia-smi has two digits')
        self.assertEqual({'power limit': (60.0, 72.0)}, differences(said, power_limit_watts=72.0))


class Traits(unittest.TestCase):
    def test_what_the_modes_are_is_had_and_the_others_are_not(self) -> None:
        said = ElementTree.fromstring(SAID)
        gpu = said.find('gpu')
        assert gpu is not None
        has, lacks = smi.traits(said, gpu, '8.9')
        self.assertLessEqual({'CUSTOM_NVIDIA_L4', 'CUSTOM_NVIDIA_ADA', 'CUSTOM_GPU_CUDA_SDK_V12_8', 'CUSTOM_GPU_VGPU',
                              'CUSTOM_GPU_CUDA_COMPUTE_CAPABILITY_V8_9'}, has)
        self.assertEqual({'CUSTOM_GPU_ECC', 'CUSTOM_GPU_MIG_ENABLED', 'CUSTOM_GPU_MIG_CAPABLE'}, lacks)
        self.assertNotIn('CUSTOM_GPU_CUDA_COMPUTE_CAPABILITY_V7_0', smi.traits(said, gpu, '7.0')[0])
