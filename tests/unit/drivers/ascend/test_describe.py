# SPDX-License-Identifier: Apache-2.0
"""Islands, NUMA nodes, npu-smi's tables, DCMI's errors: what is pure in the Ascend driver."""

import unittest

from accelpool.drivers.ascend import describe, remedies, smi
from accelpool.drivers.ascend.inventory import DcmiError


class Places(unittest.TestCase):
    def test_islands_are_what_is_joined_directly_or_through_others(self) -> None:
        self.assertEqual({'a': 'h/hccs-a', 'b': 'h/hccs-a', 'c': 'h/hccs-a', 'd': 'h/hccs-d', 'e': 'h/hccs-d'},
                         describe.islands('h', ['c', 'b', 'a', 'd', 'e', 'f'], [(0, 1), (1, 2), (4, 3)]))

    def test_the_numa_node_is_the_one_with_all_near_cpus(self) -> None:
        nodes = {0: '0-3,8-11\n', 1: '4-7,12-15\n'}
        self.assertEqual([0, 1, None, None, None], [describe.numa_node(cpus, nodes) for cpus in (
            '0-1,8', '12-15', '3-4', None, '')])


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
        self.assertEqual({*range(-8023, -8000), -8255, remedies.NOT_FOUND} - reserved, set(remedies.REMEDIES))
        self.assertEqual({remedies.UNKNOWN}, {remedies.remedy(number) for number in reserved})
