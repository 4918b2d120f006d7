# SPDX-License-Identifier: Apache-2.0
"""The comparison of topology, MIG devices and vGPU types, on listings that are made up as nvidia-smi prints them."""

import dataclasses
import unittest
from typing import Any
from xml.etree import ElementTree

from accelpool.types import Device
from tests.hardware import listings, smi

#: With other devices in it, and a heading that is underlined.
MATRIX = ('\x1b[4m\tGPU0\tGPU1\tGPU2\tNIC0\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\x1b[0m\n'
          'GPU0\t X \tNV12\tSYS\tPXB\t48-63,176-191\t3\t\tN/A\nGPU1\tNV12\t X \tSYS\tPXB\t0,2,4,6,8,10\t0-1\t\tN/A\n'
          'GPU2\tSYS\tSYS\t X \tSYS\t0-7\tN/A\t\tN/A\nNIC0\tPXB\tPXB\tSYS\t X \t\t\t\t\n\n'
          'Legend:\n\n  X    = Self\n  NV#  = Connection traversing a bonded set of # NVLinks\n')
LINKS = {'switch': True, 'remote': '00000000:C1:00.0'}
IDENTITIES: dict[int, dict[str, Any]] = {
    0: {'bus_id': '00000000:07:00.0', 'links': [LINKS] * 12}, 1: {'bus_id': '00000000:0F:00.0', 'links': [LINKS] * 12},
    2: {'bus_id': '00000000:47:00.0', 'links': []}}
DEVICE = Device(id='d', driver='nvidia', vendor='nvidia', model='A100', memory=40960, pci_address='0000:07:00.0', numa_node=3,
                options={'cpus': '48-63,176-191', 'vgpus': [
                    {'id': 0x252, 'name': 'NVIDIA A10-6Q', 'memory': 6144, 'most': 4},
                    {'id': 0x253, 'name': 'NVIDIA A10-8Q', 'memory': 8192, 'most': 3}]})


def near(index: int = 0, identities: dict[int, dict[str, Any]] = IDENTITIES, **values: Any) -> set[str]:
    """Return what is wrong with a device of these CPUs and this node."""
    device = dataclasses.replace(DEVICE, numa_node=values.get('node', DEVICE.numa_node),
                                 options={'cpus': values.get('cpus', DEVICE.options['cpus'])})
    return set(smi.wrong(listings.near(
        listings.topology(MATRIX)[index], device, identities[index],
        {other: one for other, one in identities.items() if other != index})))


class Topology(unittest.TestCase):
    def test_a_matrix_with_other_devices_in_it(self) -> None:
        rows = listings.topology(MATRIX)
        self.assertEqual({0: {1: 12}, 1: {0: 12}, 2: {}}, {index: row.links for index, row in rows.items()})
        self.assertEqual(['48-63,176-191', '0,2,4,6,8,10', '0-7'], [row.cpus for row in rows.values()])
        self.assertEqual(['3', '0-1', 'N/A'], [row.nodes for row in rows.values()])

    def test_what_is_near(self) -> None:
        self.assertEqual(set(), near())
        self.assertEqual({'NUMA node'}, near(node=0))
        self.assertEqual({'NUMA node'}, near(node=None))
        self.assertEqual({'CPU affinity'}, near(cpus='48-63'))
        self.assertEqual({'CPU affinity'}, near(cpus=None))

    def test_near_to_no_node(self) -> None:
        self.assertEqual(set(), near(1, node=None, cpus='0,2,4,6,8,10'))
        self.assertEqual({'NUMA node'}, near(1, node=0, cpus='0,2,4,6,8,10'))
        self.assertEqual(set(), near(2, node=None, cpus='0-7'))
        self.assertEqual(set(), near(2, node=0, cpus='0-7'), 'nvidia-smi does not tell')

    def test_a_long_list_of_cpus_is_cut(self) -> None:
        self.assertEqual(set(), near(1, node=None, cpus=','.join(map(str, range(0, 128, 2)))))
        self.assertEqual({'CPU affinity'}, near(1, node=None, cpus='0-127'))
        self.assertEqual({'CPU affinity'}, near(2, node=0, cpus='0-15'), 'a short one is not')

    def test_links(self) -> None:
        self.assertEqual({'NVLinks'}, near(identities={**IDENTITIES, 0: {**IDENTITIES[0], 'links': [LINKS] * 11}}))
        peers = {index: {**one, 'links': [{'switch': False, 'remote': IDENTITIES[1 - index]['bus_id']}] * 12 if index < 2 else []}
                 for index, one in IDENTITIES.items()}
        self.assertEqual(set(), near(identities=peers))
        self.assertEqual({'NVLinks'}, near(identities={**peers, 0: IDENTITIES[2]}))
        self.assertEqual({'NVLinks'}, near(2, identities={**IDENTITIES, 2: IDENTITIES[0]}, node=0, cpus='0-7'))


GPU = """<gpu><mig_devices>
  <mig_device>
    <index>0</index><gpu_instance_id>2</gpu_instance_id><compute_instance_id>0</compute_instance_id>
    <device_attributes><shared><multiprocessor_count>42</multiprocessor_count></shared></device_attributes>
    <fb_memory_usage><total>19968 MiB</total></fb_memory_usage>
  </mig_device>
  <mig_device>
    <index>1</index><gpu_instance_id>3</gpu_instance_id><compute_instance_id>1</compute_instance_id>
    <device_attributes><shared><multiprocessor_count>14</multiprocessor_count></shared></device_attributes>
    <fb_memory_usage><total>9856 MiB</total></fb_memory_usage>
  </mig_device>
</mig_devices></gpu>"""
LISTING = """GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-a)
  MIG 7g.40gb     Device  0: (UUID: MIG-0)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-b)
  MIG 3g.20gb     Device  0: (UUID: MIG-1)
  MIG 1c.2g.10gb  Device  1: (UUID: MIG-2)
"""
IDENTITY = {'uuid': 'GPU-b', 'profiles': [{'name': '3g.20gb', 'sms': 42, 'memory': 20096}, {'name': '2g.10gb', 'sms': 28, 'memory': 9856}]}


def instances(profile: str = '3g.20gb', uuid: str = 'MIG-1', number: int = 1) -> list[dict[str, Any]]:
    return [{'id': 2, 'profile': profile, 'slices': 3, 'computes': [{'id': 0, 'uuid': uuid, 'start': 0, 'size': 3}]},
            {'id': 3, 'profile': '2g.10gb', 'slices': 2, 'computes': [{'id': number, 'uuid': 'MIG-2', 'start': 0, 'size': 1}]}]


class Partitions(unittest.TestCase):
    def wrong(self, found: list[dict[str, Any]], gpu: str = GPU, listing: str = LISTING) -> set[str]:
        return set(smi.wrong(listings.partitions(ElementTree.fromstring(gpu), listing, IDENTITY, found)))

    def test_mig_devices(self) -> None:
        self.assertEqual(set(), self.wrong(instances()))
        self.assertEqual({'MIG devices'}, self.wrong(instances(uuid='MIG-9')))
        self.assertEqual({'MIG devices'}, self.wrong(instances(), listing=LISTING.replace('1c.2g', '2g')))
        self.assertEqual({'MIG instances'}, self.wrong(instances(number=0)))
        self.assertEqual({'MIG devices', 'MIG instances'}, self.wrong(instances('2g.10gb')))
        self.assertEqual({'MIG devices', 'MIG instances'}, self.wrong([]))

    def test_what_they_have(self) -> None:
        self.assertEqual({'MIG instances'}, self.wrong(instances(), GPU.replace('>42<', '>28<')))
        self.assertEqual({'MIG instances'}, self.wrong(instances(), GPU.replace('9856 MiB', '4864 MiB')))
        self.assertEqual(set(), self.wrong(instances(), GPU.replace('>42<', '>N/A<').replace('9856 MiB', 'N/A')))

    def test_none(self) -> None:
        none = '<gpu><mig_devices>None</mig_devices></gpu>'
        self.assertEqual(set(), self.wrong([], none, 'GPU 0: A30 (UUID: GPU-b)\nGPU 1: A30 (UUID: GPU-c)\n  MIG 1g.6gb      Device  0: (UUID: MIG-3)'))
        self.assertEqual({'MIG devices', 'MIG instances'}, self.wrong(instances(), none, ''))


class Vgpus(unittest.TestCase):
    LISTING = """GPU 00000000:07:00.0
    vGPU Type ID                      : 0x252
        Name                          : NVIDIA A10-6Q
        Class                         : Quadro
        Max Instances                 : 4
        FB Memory                     : 6144 MiB
    vGPU Type ID                      : 0x253
        Name                          : NVIDIA A10-8Q
        Max Instances                 : 3
        FB Memory                     : 8192 MiB
GPU 00000000:0F:00.0
    vGPU Type ID                      : 0x254
        Name                          : NVIDIA A10-12Q
        Max Instances                 : 2
        FB Memory                     : 12288 MiB
"""

    def test_types(self) -> None:
        self.assertEqual({}, smi.wrong(listings.vgpus(self.LISTING, DEVICE)))
        for change in (('0x252', '0x251'), ('A10-6Q', 'A10-7Q'), (': 4', ': 5'), ('6144', '6145'), ('07:00.0', '08:00.0')):
            with self.subTest(change):
                self.assertEqual(['vGPU types'], list(smi.wrong(listings.vgpus(self.LISTING.replace(*change), DEVICE))))
