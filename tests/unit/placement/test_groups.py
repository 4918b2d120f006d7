# SPDX-License-Identifier: Apache-2.0
import unittest

from accelpool.placement.groups import groups
from accelpool.types import Isolation, Locality, Request

COMPUTE, MEMORY = 'resources:CUSTOM_ACCELPOOL_COMPUTE', 'resources:CUSTOM_ACCELPOOL_MEMORY_MIB'


class Groups(unittest.TestCase):
    def traits(self, request: Request) -> dict[str, str]:
        """Return the traits of a request's one group, without the one of its isolation."""
        (group,) = groups(request)
        found = {key.removeprefix('trait:'): value for key, value in group.items() if key.startswith('trait:')}
        found.pop(f'CUSTOM_ACCELPOOL_MODE_{request.isolation.upper()}', None)
        return found

    def test_a_shared_slice_asks_for_its_compute_and_memory(self) -> None:
        self.assertEqual([{COMPUTE: '30', MEMORY: '2048', 'trait:CUSTOM_ACCELPOOL_MODE_SHARED': 'required'}],
                         groups(Request(compute=30, memory=2048)))

    def test_each_slice_is_a_group(self) -> None:
        one, two = groups(Request(count=2, compute=30, memory=2048))
        self.assertEqual(one, two)
        self.assertEqual('30', one[COMPUTE])

    def test_a_whole_device_is_all_of_its_compute(self) -> None:
        (group,) = groups(Request(isolation=Isolation.WHOLE, compute=10))
        self.assertEqual({COMPUTE: '100', 'trait:CUSTOM_ACCELPOOL_MODE_WHOLE': 'required'}, group)
        (group,) = groups(Request(isolation=Isolation.WHOLE, memory=4096))
        self.assertEqual('4096', group[MEMORY])

    def test_what_a_request_requires_of_a_device_becomes_traits(self) -> None:
        cases = [
            (Request(vendor='NVIDIA', model='A100-SXM4 80GB'),
             {'CUSTOM_ACCELPOOL_VENDOR_NVIDIA', 'CUSTOM_ACCELPOOL_MODEL_A100_SXM4_80GB'}),
            (Request(pool='0b6c-1'), {'CUSTOM_ACCELPOOL_POOL_0B6C_1'}),
            (Request(traits=('HW_CPU_X86_AVX2', 'CUSTOM_FAST', 'fp8', 'HW_OURS')),
             {'HW_CPU_X86_AVX2', 'CUSTOM_FAST', 'CUSTOM_FP8', 'CUSTOM_HW_OURS'}),
            (Request(any_traits=('fp8',)), {'CUSTOM_FP8'}),
            (Request(any_traits=('fp8', 'fp4')), set()),  # Placement's query has no word for it
            (Request(locality=Locality.HOST), {'CUSTOM_ACCELPOOL_LOCAL'}),
            (Request(locality=Locality.ANY), set()),
        ]
        for request, wanted in cases:
            with self.subTest(request=request):
                self.assertEqual(dict.fromkeys(wanted, 'required'), self.traits(request))

    def test_a_remote_slice_is_not_on_a_local_device(self) -> None:
        self.assertEqual({'CUSTOM_ACCELPOOL_LOCAL': 'forbidden'}, self.traits(Request(locality=Locality.REMOTE)))

    def test_any_isolation_asks_for_none(self) -> None:
        self.assertEqual([{COMPUTE: '5', MEMORY: '1'}], groups(Request(compute=5, memory=1, isolation='any')))

    def test_a_partition_by_name_is_found_by_a_trait(self) -> None:
        self.assertEqual([{COMPUTE: '1', 'trait:CUSTOM_ACCELPOOL_TEMPLATE_1G_10GB': 'required'}],
                         groups(Request(isolation=Isolation.PARTITION, template='1g.10gb')))
