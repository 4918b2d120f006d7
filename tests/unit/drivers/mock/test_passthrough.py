# SPDX-License-Identifier: Apache-2.0
import pathlib
import tempfile
import unittest

from accelpool import errors
from accelpool.drivers import base
from accelpool.drivers.mock import inventory, passthrough, slicing
from accelpool.partitions import Geometry
from accelpool.types import Device, Isolation, Slice


class Passthrough(unittest.TestCase):
    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.slicing = slicing.MockSlicing(pathlib.Path(place.name, 'slices.json'))

    def device(self, entry: str) -> Device:
        (found,) = inventory.devices('host-a', [inventory.parse(entry)])
        return found

    def carve(self, device: Device, isolation: Isolation, template: str | None = None) -> base.Handle | None:
        wanted = Slice(id='00000000-0000-4000-8000-000000000001', allocation_id='a', device_id=device.id, host='host-a',
                       compute=100, memory=1, isolation=isolation, template=template)
        return self.slicing.carve(device, wanted).handle

    def test_a_whole_device_is_a_pci_function(self) -> None:
        device = self.device('gpu:8GiB:1:attach=pci')
        self.assertEqual((Isolation.WHOLE,), self.slicing.modes(device))
        handle = self.carve(device, Isolation.WHOLE)
        assert handle is not None
        self.assertEqual({'type': 'PCI', 'uuid': None, 'info': {
            'domain': '0000', 'bus': '01', 'device': '00', 'function': '0'}}, handle.to_dict())

    def test_a_part_is_a_mediated_device_with_an_identifier_of_its_own(self) -> None:
        device = self.device('gpu:8GiB:1:attach=mdev')
        assert device.partitions is not None
        (template,) = Geometry.from_dict(device.partitions).templates
        self.assertEqual((25, 2048), (template.compute, template.memory))
        handle = self.carve(device, Isolation.PARTITION, template.name)
        assert handle is not None
        self.assertEqual((passthrough.TYPE, 'MDEV'), (handle.asked_type, handle.type))
        self.assertEqual(handle, self.carve(device, Isolation.PARTITION, template.name))

    def test_a_shared_device_has_no_handle(self) -> None:
        self.assertIsNone(self.carve(self.device('gpu:8GiB:1'), Isolation.SHARED))

    def test_it_cannot_be_shared(self) -> None:
        with self.assertRaises(errors.NotSupported):
            self.carve(self.device('gpu:8GiB:1:attach=pci'), Isolation.SHARED)

    def test_another_way_is_refused(self) -> None:
        with self.assertRaises(errors.InvalidRequest):
            inventory.parse('gpu:8GiB:1:attach=usb')
