# SPDX-License-Identifier: Apache-2.0
"""Two modes on one device: what the hardware cannot hold together is refused before it is tried."""

import itertools

from accelpool import errors
from accelpool.drivers.nvidia.slicing import Shared
from accelpool.types import Device, Isolation
from tests.fakes.nvml.vf import VirtualFunctions
from tests.functional import nvidia
from tests.functional.nvidia import SlicingCase, wanted

WHOLE, SHARED, MPS, PARTITION = Isolation.WHOLE, Isolation.SHARED, Isolation.MPS, Isolation.PARTITION
MIG_ON = 'cannot be cut as {}: MIG is enabled on it'
MIG_OFF = 'cannot be cut as partition, only as whole, shared, mps'
IN_USE = 'is in use as {}'
BESIDE = 'carries slices as {}, which do not go together with {} on one device'

#: What a device carries, what is wanted beside it, whether MIG is on by then -> the refusal, None: it is made.
PAIRS = {
    (WHOLE, WHOLE, False): IN_USE.format(WHOLE), (WHOLE, WHOLE, True): MIG_ON.format(WHOLE),
    (WHOLE, SHARED, False): IN_USE.format(WHOLE), (WHOLE, SHARED, True): MIG_ON.format(SHARED),
    (WHOLE, MPS, False): IN_USE.format(WHOLE), (WHOLE, MPS, True): MIG_ON.format(MPS),
    (WHOLE, PARTITION, False): MIG_OFF, (WHOLE, PARTITION, True): IN_USE.format(WHOLE),
    (SHARED, WHOLE, False): IN_USE.format(SHARED), (SHARED, WHOLE, True): MIG_ON.format(WHOLE),
    (SHARED, SHARED, False): None, (SHARED, SHARED, True): MIG_ON.format(SHARED),
    (SHARED, MPS, False): BESIDE.format(SHARED, MPS), (SHARED, MPS, True): MIG_ON.format(MPS),
    (SHARED, PARTITION, False): MIG_OFF, (SHARED, PARTITION, True): BESIDE.format(SHARED, PARTITION),
    (MPS, WHOLE, False): IN_USE.format(MPS), (MPS, WHOLE, True): MIG_ON.format(WHOLE),
    (MPS, SHARED, False): BESIDE.format(MPS, SHARED), (MPS, SHARED, True): MIG_ON.format(SHARED),
    (MPS, MPS, False): None, (MPS, MPS, True): MIG_ON.format(MPS),
    (MPS, PARTITION, False): MIG_OFF, (MPS, PARTITION, True): BESIDE.format(MPS, PARTITION),
    (PARTITION, WHOLE, False): IN_USE.format(PARTITION), (PARTITION, WHOLE, True): MIG_ON.format(WHOLE),
    (PARTITION, SHARED, False): BESIDE.format(PARTITION, SHARED), (PARTITION, SHARED, True): MIG_ON.format(SHARED),
    (PARTITION, MPS, False): BESIDE.format(PARTITION, MPS), (PARTITION, MPS, True): MIG_ON.format(MPS),
    (PARTITION, PARTITION, False): MIG_OFF, (PARTITION, PARTITION, True): None,
}
MODES = tuple(Isolation)


class Mixtures(SlicingCase):
    def setUp(self) -> None:
        super().setUp()
        self.configure(mps=True)

    def begin(self, host: str) -> None:
        self.describe(host)
        self.driver.need_slicing()._ways['mps'] = Shared()  # type: ignore[attr-defined]  # no daemon is needed here

    def mig(self, on: bool) -> Device:
        found = self.host.device(0)
        found.mig = found.mig_pending = int(on)
        return self.look()[0]

    def make(self, device: Device, identifier: str, isolation: str, position: int = 0) -> None:
        template = '1g.5gb' if isolation == PARTITION else None
        self.carve(device, wanted(device, identifier, isolation, template=template, position=position))

    def test_every_pair_with_mig_on_and_off(self) -> None:
        self.assertEqual(set(itertools.product(MODES, MODES, (False, True))), set(PAIRS))
        self.begin('dgx-a100')
        for (carried, other, mig), refusal in PAIRS.items():
            with self.subTest(carried=carried, wanted=other, mig=mig):
                self.make(self.mig(carried == PARTITION), 'first', carried)
                device = self.mig(mig)
                if refusal is None:
                    self.make(device, 'second', other, position=1)
                    self.assertEqual({'first', 'second'}, self.slices())
                else:
                    with self.assertRaises(errors.NotSupported) as caught:
                        self.make(device, 'second', other, position=1)
                    self.assertIn(f'{device.model} at {device.pci_address} {refusal}', caught.exception.detail)
                    self.assertEqual({'first'}, {entry['slice'] for entry in self.entries(device)})
                self.mig(carried == PARTITION)
                for name in ('first', 'second'):
                    self.driver.need_slicing().destroy(name)
                if other in self.mig(mig).modes:  # what it carried was all that stood in the way
                    self.make(self.mig(mig), 'second', other)
                    self.driver.need_slicing().destroy('second')
                self.assertEqual([], self.host.instances(0))

    def test_nothing_goes_beside_vgpus(self) -> None:
        function = self.dir / 'sys/bus/pci/devices/0000:af:00.0'
        for kind in ('mdev', 'vf'):
            self.begin('l4')
            if kind == 'mdev':
                nvidia.vgpu_types(function)
            else:
                (function / 'mdev_supported_types').rename(self.dir / 'away')
                self.functions = VirtualFunctions(self.dir / 'sys', self.host.device(1))
            device = self.look()[1]
            self.carve(device, wanted(device, f'{kind}-1', PARTITION, template='nvidia-1116'))
            for isolation in (WHOLE, SHARED, MPS):
                with self.subTest(kind, isolation=isolation), self.assertRaisesRegex(
                        errors.NotSupported, f'cannot be cut as {isolation}, only as partition'):
                    self.carve(device, wanted(device, 'second', isolation))
            self.carve(device, wanted(device, f'{kind}-2', PARTITION, template='nvidia-1116'))
            self.assertEqual([kind, kind], [entry['way'] for entry in self.entries(device)])
            for name in (f'{kind}-1', f'{kind}-2'):
                self.driver.need_slicing().destroy(name)

    def entries(self, device: Device) -> list[dict]:
        """Return what the book has of a device."""
        return self.driver.need_slicing()._book.of_device(device.id)  # type: ignore[attr-defined]
