# SPDX-License-Identifier: Apache-2.0
"""The driver on the chips of this host: what DCMI says beside what npu-smi says, and a vNPU made and taken apart."""

import os
import pathlib
import tempfile
import unittest
from typing import Any
from unittest import mock

from oslo_config import cfg

from accelpool import conf
from accelpool.drivers import vendor
from accelpool.drivers.ascend import PROGRAM, AscendDriver, describe
from accelpool.drivers.ascend.inventory import DcmiError, Smi
from accelpool.partitions import Geometry
from accelpool.types import Device, Isolation, Slice
from tests.fakes.dcmi.host import Host
from tests.hardware.ascend.slices import EMULATED

MUTATE = os.environ.get('ACCELPOOL_HW_MUTATE') == '1'
#: What npu-smi tells of a chip that does not change; CPUs and the mode of the 910A only DCMI tells.
FIXED = ('card', 'chip', 'name', 'aicore', 'pci', 'pci_id', 'die', 'logic', 'physical', 'memory')
#: What moves between two questions, and how far: degrees, watts, MB.
MOVING = {'temperature': 10, 'power_watts': 50, 'memory_used': 2048}


class Driver(unittest.TestCase):
    """On this machine, or in the rehearsal on a host that the stand-in of DCMI plays."""

    def setUp(self) -> None:
        self.dir = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        conf.register_all()
        self.configure(drain_foreign=False)
        if EMULATED:
            host = Host('atlas-300i-duo', self.dir / 'dcmi-state')
            self.addCleanup(host.close)
            self.enterContext(mock.patch.dict(os.environ, host.env))
            self.configure(npu_smi=str(host.smi()))
        self.driver = self.start()
        chosen = cfg.CONF.ascend
        self.dcmi = vendor.Channel('DCMI', PROGRAM, 10.0, chosen.dcmi_dir, DcmiError)
        self.smi = Smi(vendor.Channel('npu-smi', PROGRAM.with_name('smi.py'), 30.0, None, DcmiError), chosen.npu_smi)
        self.addCleanup(self.dcmi.close)
        self.addCleanup(self.smi.channel.close)

    def configure(self, **options: Any) -> None:
        for name, value in options.items():
            cfg.CONF.set_override(name, value, group='ascend')
            self.addCleanup(cfg.CONF.clear_override, name, group='ascend')

    def start(self) -> AscendDriver:
        """Start a driver, as a conductor that was killed does."""
        driver = AscendDriver('hardware', self.dir)
        inventory: Any = driver.inventory
        self.addCleanup(inventory._channel.close)
        self.addCleanup(inventory._smi.channel.close)
        self.addCleanup(driver.need_slicing()._ways['vnpu']._channel.close)  # type: ignore[attr-defined]
        return driver

    def device(self, place: list[int]) -> Device:
        return next(one for one in self.driver.inventory.discover()
                    if [one.options['card'], one.options['chip']] == place)

    def slices(self) -> set[str]:
        return {carved.slice_id for carved in self.driver.need_slicing().list()}

    def test_dcmi_says_what_npu_smi_says(self) -> None:
        host, said = self.dcmi.ask('host'), self.smi.ask('host')
        for name in ('chips', 'driver', 'mode'):
            self.assertEqual(said[name], host[name], name)
        self.assertEqual(self.smi.ask('recover'), self.dcmi.ask('recover'))
        self.assertTrue(host['chips'], 'no chip was found')
        for place in host['chips']:
            with self.subTest(chip=place):
                one, other = self.dcmi.ask('identity', *place), self.smi.ask('identity', *place)
                self.assertEqual({name: other[name] for name in FIXED}, {name: one[name] for name in FIXED})
                one, other = self.dcmi.ask('condition', *place), self.smi.ask('condition', *place)
                for seen in (one, other):
                    seen['vnpus'] = [(vnpu['id'], vnpu['template'][:describe.NAME], vnpu['group'])
                                     for vnpu in seen['vdevices']]
                for name in ('health', 'processes', 'vnpus'):
                    self.assertEqual(other[name], one[name], name)
                for name, most in MOVING.items():
                    if other[name] is not None:  # the second die of a package has no power of its own
                        self.assertAlmostEqual(other[name], one[name], delta=most, msg=name)

    def test_the_smallest_vnpu_is_made_found_again_and_taken_apart(self) -> None:
        if not (MUTATE or EMULATED):
            self.skipTest('it splits a chip: set ACCELPOOL_HW_MUTATE=1 on a machine of your own')
        before = next((one for one in self.driver.inventory.discover() if one.partitions
                       and one.options['vnpu_mode'] == 'container' and not one.options['vnpus']
                       and not self.dcmi.ask('condition', one.options['card'], one.options['chip'])['processes']), None)
        if before is None:
            self.skipTest('no chip here can be split for containers: each is of another kind or in use')
        assert before.partitions is not None
        template = min(Geometry.from_dict(before.partitions).templates, key=lambda one: (one.compute, one.memory))
        place = [before.options['card'], before.options['chip']]
        wanted = Slice(id='s1', allocation_id='a', device_id=before.id, host='hardware', compute=1, memory=1,
                       isolation=Isolation.PARTITION, template=template.name)
        self.addCleanup(lambda: self.driver.need_slicing().destroy('s1'))
        carved = self.driver.need_slicing().carve(before, wanted)
        if pathlib.Path('/dev/davinci_manager').exists():  # the stand-in has no nodes
            self.assertTrue(pathlib.Path(carved.nodes[0]).is_char_device(), carved.nodes)
        self.smi.ask('host')  # it answers of the chips that it has listed
        for source in (self.dcmi, self.smi):
            vnpu, = source.ask('condition', *place)['vdevices']
            print(f'figure: vNPU {template.name}: {vnpu}', flush=True)
            self.assertEqual(carved.nodes, (f'/dev/vdavinci{vnpu["id"]}',))
            self.assertTrue(describe.is_of(vnpu, template.name), vnpu)
        self.driver = self.start()
        self.assertEqual({'s1'}, self.slices())
        again = self.device(place)
        self.assertFalse(again.options['split'], 'it is not taken for somebody else\'s')
        self.assertEqual(carved, self.driver.need_slicing().carve(again, wanted))
        self.driver.need_slicing().destroy('s1')
        self.assertEqual(set(), self.slices())
        after = self.device(place)
        self.assertEqual(([], before.partitions), (after.options['vnpus'], after.partitions))
