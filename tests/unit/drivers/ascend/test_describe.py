# SPDX-License-Identifier: Apache-2.0
"""Islands, NUMA nodes, what limits vNPUs, npu-smi's tables, DCMI's errors: what is pure in the Ascend driver."""

import unittest
from collections.abc import Mapping, Sequence

from accelpool.drivers.ascend import describe, remedies, smi
from accelpool.drivers.ascend.inventory import DcmiError
from accelpool.partitions import Geometry


class Places(unittest.TestCase):
    def test_islands_are_what_is_joined_directly_or_through_others(self) -> None:
        self.assertEqual({'a': 'h/hccs-a', 'b': 'h/hccs-a', 'c': 'h/hccs-a', 'd': 'h/hccs-d', 'e': 'h/hccs-d'},
                         describe.islands('h', ['c', 'b', 'a', 'd', 'e', 'f'], [(0, 1), (1, 2), (4, 3)]))

    def test_the_numa_node_is_the_one_with_all_near_cpus(self) -> None:
        nodes = {0: '0-3,8-11\n', 1: '4-7,12-15\n'}
        self.assertEqual([0, 1, None, None, None], [describe.numa_node(cpus, nodes) for cpus in (
            '0-1,8', '12-15', '3-4', None, '')])


class Templates(unittest.TestCase):
    """The vendor's tables (hicann/driver: dcmi_inner_info_get.c, dcmi_virtual_intf.c, dvt.c), row by row."""

    A310P = {'vir01': (1, 1, 2, 1), 'vir02': (2, 2, 4, 2), 'vir04': (4, 4, 8, 4), 'vir02_1c': (2, 1, 4, 2),
             'vir04_3c': (4, 3, 8, 4), 'vir04_3c_ndvpp': (4, 3, 0, 4), 'vir04_4c_dvpp': (4, 4, 16, 4)}
    A910A = {'vir02': (2, 1, 1, 2), 'vir04': (4, 1, 2, 4), 'vir08': (8, 3, 4, 8), 'vir16': (16, 7, 8, 16)}
    #: Chip, its AI cores, its memory in MB, a unit in MB; of each template AI cores, AI CPUs, JPEG decoders and units of memory.
    CHIPS = (
        ('310P3', 8, 21527, 3072, A310P), ('310P1', 8, 24576, 3072, A310P), ('310P3', 8, 43693, 6144, A310P),
        ('910A', 32, 32768, 1024, A910A), ('910ProA', 30, 32768, 1024, A910A),
        ('910A', 32, 16384, 512, A910A), ('Ascend910', 30, 16384, 512, A910A),
        ('910B2', 24, 65536, 1024, {'vir06_1c_16g': (6, 1, 7, 15), 'vir12_3c_32g': (12, 3, 14, 30)}),
        ('910B3', 20, 65536, 1024, {'vir05_1c_16g': (5, 1, 6, 15), 'vir10_3c_32g': (10, 3, 12, 30)}),
        ('910B4', 20, 32768, 1024, {'vir05_1c_8g': (5, 1, 6, 7), 'vir10_3c_16g': (10, 3, 12, 14),
                                    'vir10_3c_16g_nm': (10, 3, 0, 14), 'vir10_4c_16g_m': (10, 4, 24, 14)}))

    def test_every_row(self) -> None:
        for name, aicore, memory, unit, rows in self.CHIPS:
            with self.subTest(name, aicore=aicore, memory=memory):
                found = describe.geometry({'name': name, 'aicore': aicore, 'memory': memory},
                                          {'capacity': Limits.PLENTY, 'vdevices': []}, {})
                assert found is not None
                self.assertEqual(
                    {template: (*row[:3], row[3] * unit) for template, row in rows.items()},
                    {one.name: tuple(one.needs[resource] for resource in ('aicore', 'aicpu', 'jpegd', 'memory'))
                     for one in found.templates})
                self.assertEqual({one.name: one.needs['memory'] for one in found.templates},
                                 {one.name: one.memory for one in found.templates})


class Limits(unittest.TestCase):
    """Each limit of a chip alone: of the others there is plenty."""

    PLENTY = {'aicore': 99, 'aicpu': 99, 'jpegd': 999, 'memory': 1 << 20}

    def geometry(self, name: str, aicore: int, memory: int, capacity: Mapping[str, int] = PLENTY) -> Geometry:
        found = describe.geometry({'name': name, 'aicore': aicore, 'memory': memory},
                                  {'capacity': {**self.PLENTY, **capacity}, 'vdevices': []}, {})
        assert found is not None
        return found

    def remaining(self, geometry: Geometry, template: str, used: Sequence[str] = ()) -> int:
        kinds = {one.name: one for one in geometry.templates}
        return geometry.remaining(kinds[template], [geometry.span(name, None) for name in used])

    def test_each_resource_is_a_limit(self) -> None:
        for resource, amount in {'aicore': 4, 'aicpu': 4, 'jpegd': 8, 'memory': 12288}.items():
            for room, fit in ((3 * amount - 1, 2), (3 * amount, 3)):
                with self.subTest(resource, room=room):
                    self.assertEqual(fit, self.remaining(self.geometry('310P3', 8, 21527, {resource: room}), 'vir04'))

    def test_jpeg_decoders_are_a_limit(self) -> None:
        """One that has all of them leaves room only for one that has none."""
        geometry = self.geometry('310P3', 8, 43000, {'jpegd': 16})
        self.assertEqual((1, 4), (self.remaining(geometry, 'vir04_4c_dvpp'), self.remaining(geometry, 'vir02')))
        self.assertEqual(0, self.remaining(geometry, 'vir01', ['vir04_4c_dvpp']))
        self.assertGreater(self.remaining(geometry, 'vir04_3c_ndvpp', ['vir04_4c_dvpp']), 0)

    def test_a_310p_has_seven_and_others_sixteen(self) -> None:
        self.assertEqual(7, self.remaining(self.geometry('310P3', 8, 21527), 'vir01'))
        self.assertEqual(16, self.remaining(self.geometry('910A', 32, 32768), 'vir02'))
        self.assertEqual(3, self.remaining(self.geometry('910A', 32, 32768), 'vir04', ['vir02'] * 13))

    def test_groups_are_a_limit_of_a_310p(self) -> None:
        """What is left of a group that is shared serves only small ones, whoever made what is there."""
        halves = [{'id': 100 + group, 'template': 'vir01', 'group': group, 'needs': {'aicore': 1, 'aicpu': 1, 'jpegd': 2,
                                                                                     'memory': 3072}} for group in range(3)]
        for ours in ({}, {one['id']: 'vir01' for one in halves}):
            found = describe.geometry({'name': '310P3', 'aicore': 8, 'memory': 24576},
                                      {'capacity': {**self.PLENTY, 'aicore': 8}, 'vdevices': halves}, ours)
            assert found is not None
            used = [('vir01', None)] * len(ours)
            fit = [one.name for one in found.templates if found.smallest(used, 0, None, one.name)]
            self.assertEqual(['vir01', 'vir02', 'vir02_1c'], fit)
            self.assertEqual(['vir01'], [one.name for one in found.templates if found.smallest(
                [*used, ('vir02', None)], 0, None, one.name)])

    def test_a_vnpu_whose_group_is_not_told_counts_by_its_cores(self) -> None:
        one = {'id': 100, 'template': 'vir01', 'group': None, 'needs': {'aicore': 1, 'aicpu': 1, 'jpegd': 2, 'memory': 3072}}
        found = describe.geometry({'name': '310P3', 'aicore': 8, 'memory': 24576},
                                  {'capacity': {**self.PLENTY, 'aicore': 8}, 'vdevices': [one]}, {})
        assert found is not None
        self.assertEqual(8, found.capacity['unshared'])
        self.assertIsNone(found.choose([('vir04', None), ('vir02', None)], 25, None))

    def test_a_chip_that_the_table_does_not_know_has_sixteen(self) -> None:
        found = describe.geometry({'name': '999', 'aicore': 64, 'memory': 65536},
                                  {'capacity': self.PLENTY, 'vdevices': []}, {}, {'vir01': [1, 1, 1, 1024]})
        assert found is not None
        self.assertEqual(16, self.remaining(found, 'vir01'))


class NpuSmi(unittest.TestCase):
    def test_a3_has_a_physical_id_and_no_power_on_its_second_die(self) -> None:
        chips = smi.overview('''\
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip  Phy-ID              | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
| 0     Ascend910           | OK            | 161.1       36                0    / 0             |
| 0     0                   | 0000:9D:00.0  | 0           0    / 0          2870 / 65536         |
| 0     Ascend910           | Warning       | -           35                0    / 0             |
| 1     1                   | 0000:9F:00.0  | 5           0    / 0          2869 / 65536         |
''')
        self.assertEqual([('0000:9d:00.0', 161.1, 0, 2870), ('0000:9f:00.0', None, 1, 2869)], [
            (one['pci'], one['power_watts'], one['health'], one['memory_used']) for one in chips.values()])
        self.assertEqual([(0, 0), (0, 1)], list(chips))

    def test_chips_without_hbm(self) -> None:
        chips = smi.overview('''\
| NPU     Name                  | Health          | Power(W)     Temp(C)           Hugepages-Usage(page) |
| Chip    Device                | Bus-Id          | AICore(%)    Memory-Usage(MB)                        |
| 2       310P3                 | OK              | NA           47                0     / 0             |
| 1       1                     | 0000:01:00.0    | 12           1852 / 21527                            |
''')
        self.assertEqual({(2, 1): (21527, 1852, None)}, {
            place: (one['memory'], one['memory_used'], one['power_watts']) for place, one in chips.items()})

    def test_something_else_is_no_chips(self) -> None:
        for text in ('', 'dcmi module initialize failed. ret is -8005', '| 0 | 0000:01:00.0 |', '|' * 400):
            self.assertEqual(({}, {}, {}), (smi.overview(text), smi.numbers(text), smi.rows_of_templates(text)))


class Errors(unittest.TestCase):
    def test_every_number_has_a_message(self) -> None:
        for number in [*range(-8023, -8000), -8255]:
            detail = DcmiError(number, f'a call answered {number}').detail
            self.assertGreater(len(detail), len(f'a call answered {number}: '))
        reserved = {-8018, -8019, -8021}
        self.assertEqual({*range(-8023, -8000), -8255, remedies.NOT_FOUND, remedies.NOT_UNDERSTOOD} - reserved, set(remedies.REMEDIES))
        self.assertEqual({remedies.UNKNOWN}, {remedies.remedy(number) for number in reserved})
