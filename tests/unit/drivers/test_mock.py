# SPDX-License-Identifier: Apache-2.0
"""The mock driver, and through it the driver contract."""

import json
import pathlib
import tempfile
import unittest

from oslo_config import cfg

from accelpool import conf, errors
from accelpool.drivers import base
from accelpool.drivers.mock import MockDriver, inventory
from accelpool.types import Health, Isolation, Slice


def wanted(device: str, identifier: str = 's1', isolation: str = Isolation.SHARED) -> Slice:
    return Slice(id=identifier, allocation_id='a', device_id=device, host='host-x', compute=10, memory=64,
                 isolation=isolation)


class Syntax(unittest.TestCase):
    def test_all_of_it(self) -> None:
        self.assertEqual(
            inventory.Model('gpu-emu', 30720, 2, ('CUSTOM_A', 'CUSTOM_B'), 1, 'rack-1', '9.0', 8),
            inventory.parse('gpu-emu:30GiB:2:trait=CUSTOM_A:trait=CUSTOM_B:numa=1:fabric=rack-1:cc=9.0:sm=8'))

    def test_a_model_that_is_an_npu_speaks_ascendcl(self) -> None:
        npu, gpu = inventory.parse('npu-emu:30GiB:1:soc=Ascend310P3'), inventory.parse('npu-emu:30GiB:1:api=cuda')
        self.assertEqual(('acl', 'Ascend310P3'), (npu.interface, npu.soc))
        self.assertEqual('cuda', gpu.interface)
        self.assertIn('CUSTOM_NPU_API_ACL', inventory.devices('host-a', [npu])[0].traits)

    def test_mistakes_are_explained(self) -> None:
        for entry in ('', 'gpu', 'gpu:30GiB', 'gpu:30:1', 'gpu:30GiB:none', 'gpu:30GiB:0', ':30GiB:1',
                      'gpu:30GiB:1:colour=red', 'gpu:30GiB:1:cc=9', 'gpu:30GiB:1:sm=0', 'gpu:30GiB:1:numa=x'):
            with self.assertRaises(errors.InvalidRequest) as caught:
                inventory.parse(entry)
            self.assertIn('model:memory:count', caught.exception.detail)


class Mock(unittest.TestCase):
    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.dir = pathlib.Path(place.name)
        conf.register_all()
        self.driver = self.load()

    def load(self, host: str = 'host-x') -> MockDriver:
        from accelpool.conf import mock
        mock.for_host(host)
        cfg.CONF.set_override('devices', ['gpu-emu:1GiB:2:numa=1', 'gpu-emu-b:2GiB:1'], group=f'mock:{host}')
        self.addCleanup(cfg.CONF.clear_override, 'devices', group=f'mock:{host}')
        return MockDriver(host, self.dir)

    def test_devices_are_the_same_after_a_restart_and_others_on_another_host(self) -> None:
        first = self.driver.inventory.discover()
        self.assertEqual(first, self.load().inventory.discover())
        ids = {device.id for device in first}
        self.assertEqual(3, len(ids))
        self.assertFalse(ids & {device.id for device in self.load('host-y').inventory.discover()})
        self.assertEqual([1024, 1024, 2048], [device.memory for device in first])
        self.assertEqual(3, len({device.pci_address for device in first}))

    def test_health_can_change_while_it_runs(self) -> None:
        first, second, third = self.driver.inventory.discover()
        self.assertEqual(Health.OK, first.health)
        (self.dir / 'mock-health.json').write_text(json.dumps({
            first.id: 'failed', second.id: {'health': 'degraded', 'reason': 'too hot'}, third.id: 'missing'}))
        failed, degraded = self.driver.inventory.discover()
        self.assertEqual((Health.FAILED, Health.DEGRADED, 'too hot'),
                         (failed.health, degraded.health, degraded.health_reason))
        (self.dir / 'mock-health.json').unlink()
        self.assertEqual([first, second, third], self.driver.inventory.discover())

    def test_sensors(self) -> None:
        first, second, _ = self.driver.inventory.discover()
        (self.dir / 'mock-health.json').write_text(json.dumps({
            first.id: 'failed', second.id: {'health': 'degraded', 'metrics': {'temperature_celsius': 99, 'xid': 79}}}))
        found = self.driver.inventory.metrics()
        self.assertEqual(35, found[first.id]['temperature_celsius'])
        self.assertEqual((99, 79, 1000), tuple(found[second.id][name] for name in (
            'temperature_celsius', 'xid', 'clock_mhz')))

    def test_a_health_file_that_is_none_is_an_error_not_a_healthy_pool(self) -> None:
        for content in ('{', '[]', '{"x": "splendid"}', '{"x": {"reason": "?"}}'):
            (self.dir / 'mock-health.json').write_text(content)
            with self.assertRaises(errors.DriverError):
                self.driver.inventory.discover()

    def test_slices_survive_a_restart_and_every_step_can_be_repeated(self) -> None:
        device = self.driver.inventory.discover()[0]
        slicing = self.driver.need_slicing()
        self.assertEqual(slicing.carve(device, wanted(device.id)), slicing.carve(device, wanted(device.id)))
        again = self.load().need_slicing()
        self.assertEqual(['s1'], [carved.slice_id for carved in again.list()])
        again.destroy('s1')
        again.destroy('s1')
        self.assertEqual([], self.load().need_slicing().list())

    def test_a_mode_that_the_device_lacks(self) -> None:
        device = self.driver.inventory.discover()[0]
        slicing = self.driver.need_slicing()
        self.assertNotIn(Isolation.PARTITION, slicing.modes(device))
        with self.assertRaises(errors.NotSupported):
            slicing.carve(device, wanted(device.id, isolation=Isolation.PARTITION))
        self.assertEqual([], slicing.list())

    def test_endpoint_describes_the_device(self) -> None:
        device = self.driver.inventory.discover()[0]
        endpoint = self.driver.need_remoting().endpoint(device)
        self.assertEqual('cuda', endpoint.interface)
        described = dict(pair.split('=') for pair in endpoint.env['ACCELPOOL_EMU_DEVICE'].split(';'))
        self.assertEqual(('gpu-emu', '1024', '8.6'), (described['name'], described['memory_mib'], described['cc']))
        self.assertEqual(32, len(described['uuid']))


class Contract(unittest.TestCase):
    def test_a_driver_that_lacks_an_interface_says_so(self) -> None:
        class Bare(base.Driver):
            name = 'bare'

        bare = Bare('host-x', pathlib.Path())
        with self.assertRaisesRegex(errors.NotSupported, 'bare cannot cut'):
            bare.need_slicing()
        with self.assertRaisesRegex(errors.NotSupported, 'bare cannot serve'):
            bare.need_remoting()

    def test_an_unknown_driver(self) -> None:
        with self.assertRaisesRegex(errors.NotSupported, 'no driver abacus'):
            base.load(['abacus'], 'host-x', pathlib.Path())
