# SPDX-License-Identifier: Apache-2.0
"""The Ascend driver over the stand-in of DCMI: virtual groups of vNPUs, and what a restart of the host leaves of them."""

import os
import random
import shutil
from typing import Any
from unittest import mock

from accelpool import errors
from accelpool.drivers.ascend import dcmi
from accelpool.partitions import Geometry
from accelpool.types import Isolation
from tests.fakes.dcmi import host as fake
from tests.functional import test_ascend_driver as ascend


class Groups(ascend.AscendCase):
    """A 310P has four groups of two AI cores or more; two vNPUs of one core share one."""

    def setUp(self) -> None:
        super().setUp()
        self.describe('atlas-300i-duo')
        self.host.device(0).memory = 24576  # as much as its AI cores have in templates: they are the limit, not it
        self.used: dict[str, str] = {}

    def geometry(self) -> Geometry:
        found = self.look()[0].partitions
        assert found is not None
        return Geometry.from_dict(found)

    def room(self) -> dict[str, int]:
        """Return how many more vNPUs of some templates the scheduler thinks that there can be."""
        geometry = self.geometry()
        taken = [*geometry.taken, *(geometry.span(name, None) for name in self.used.values())]
        return {one.name: geometry.remaining(one, taken) for one in geometry.templates
                if one.name in ('vir01', 'vir02', 'vir04')}

    def make(self, identifier: str, template: str) -> None:
        self.carve(self.look()[0], identifier, template=template)
        self.used[identifier] = template

    def destroy(self, identifier: str) -> None:
        self.driver.need_slicing().destroy(identifier)
        del self.used[identifier]

    def test_the_group_of_each_vnpu_is_shown(self) -> None:
        self.make('s1', 'vir01')
        self.make('s2', 'vir02')
        self.make('s3', 'vir01')
        self.host.add_vdevice(0, 'vir02_1c', 3)
        shown = [{'id': 100, 'template': 'vir01', 'group': 0}, {'id': 101, 'template': 'vir02', 'group': 1},
                 {'id': 102, 'template': 'vir01', 'group': 0}, {'id': 103, 'template': 'vir02_1c', 'group': 3}]
        self.assertEqual([shown, []], [one.options['vnpus'] for one in self.look()])
        self.host.smi()
        with mock.patch.dict(os.environ, {'LD_LIBRARY_PATH': str(self.dir)}):
            self.driver = self.start()
            self.assertEqual(shown, self.look()[0].options['vnpus'])

    def test_other_chips_have_none(self) -> None:
        self.describe('atlas-800t-a2')
        self.make('s1', 'vir05_1c_16g')
        self.assertEqual([{'id': 100, 'template': 'vir05_1c_16g', 'group': None}], self.look()[0].options['vnpus'])
        self.assertNotIn('unshared', self.geometry().capacity)

    def test_what_others_left_of_a_group_serves_only_small_ones(self) -> None:
        for identifier in ('s1', 's2', 's3', 's4'):
            self.make(identifier, 'vir01')
        self.destroy('s2')
        self.destroy('s4')
        self.assertEqual({100: 0, 102: 1}, self.host.groups(0))
        self.assertEqual({'vir01': 5, 'vir02': 2, 'vir04': 1}, self.room())  # six AI cores are free
        self.make('s5', 'vir04_3c_ndvpp')
        self.assertEqual({'vir01': 2, 'vir02': 0, 'vir04': 0}, self.room())
        with self.assertRaisesRegex(errors.DriverError, 'cannot be made'):
            self.carve(self.look()[0], 's6', template='vir02_1c')
        self.make('s6', 'vir01')
        self.make('s7', 'vir01')
        self.assertEqual({100: 0, 101: 2, 102: 1, 103: 0, 104: 1}, self.host.groups(0))

    def test_three_groups_leave_no_room_for_four_cores_and_four_only_for_one(self) -> None:
        for group in range(3):
            self.host.add_vdevice(0, 'vir01', group)
        self.assertEqual({'vir01': 4, 'vir02': 1, 'vir04': 0}, self.room())
        self.host.add_vdevice(0, 'vir01', 3)
        self.assertEqual({'vir01': 3, 'vir02': 0, 'vir04': 0}, self.room())

    def test_whatever_came_and_went_what_is_thought_to_fit_does_and_nothing_else(self) -> None:
        dice = random.Random(310)
        for turn in range(10):
            for step, template in enumerate(['vir01'] * dice.randrange(8) + dice.choices(
                    ('vir01', 'vir02', 'vir02_1c', 'vir04_3c_ndvpp'), k=8)):
                fits = self.geometry().smallest([(name, None) for name in self.used.values()], 0, None, template)
                with self.subTest(turn=turn, used=self.used, template=template, groups=self.host.groups(0)):
                    if fits is not None:
                        self.make(f's{turn}-{step}', template)
                    else:
                        with self.assertRaises(errors.DriverError):
                            self.carve(self.look()[0], f's{turn}-{step}', template=template)
                if self.used and dice.random() < 0.3:
                    self.destroy(dice.choice(sorted(self.used)))

    def test_a_group_that_is_named(self) -> None:
        """Somebody asks DCMI for one: what the stand-in answers."""
        library = shutil.copy(fake.library() / 'libdcmi.so', self.dir)  # of its own: it maps one state for good
        with mock.patch.object(dcmi, 'PLACES', (library,)), \
                mock.patch.multiple(dcmi, _library=None, _v2=False):
            dcmi.open_()
            for template, group, answer in ((b'vir02', 4, -8001), (b'vir01', 2, 0), (b'vir01', 2, 0), (b'vir01', 2, -8020),
                                            (b'vir02', 2, -8020), (b'vir02', 0, 0), (b'vir01', 0, -8020), (b'vir02', 3, 0),
                                            (b'vir01', 1, 0)):
                wanted = dcmi.Wanted(id=dcmi.ANY, group=group, name=template)
                with self.subTest(template, group=group):
                    try:
                        dcmi.call('dcmi_create_vdevice', 2, 0, dcmi.byref(wanted), dcmi.byref(dcmi.Made()))
                        code = 0
                    except dcmi.Failed as refused:
                        code = refused.code
                    self.assertEqual(answer, code)
        self.assertEqual({100: 2, 101: 2, 102: 0, 103: 3, 104: 1}, self.host.groups(0))


class Restart(ascend.AscendCase):
    """The vendor's driver makes vNPUs again after a restart of the host, in its recover mode."""

    def setUp(self) -> None:
        super().setUp()
        self.describe('atlas-300i-duo')

    def make(self, identifier: str, template: str) -> tuple[str, ...]:
        nodes: tuple[str, ...] = self.carve(self.look()[0], identifier, template=template).nodes
        return nodes

    def restart(self, *, recovered: bool = True) -> None:
        self.host.restart(recovered=recovered)
        self.driver = self.start()

    def test_the_mode_is_shown(self) -> None:
        self.host.smi()
        for mode, shown in ((1, True), (0, False)):
            self.host.set_recover(mode)
            self.assertEqual([shown] * 2, [one.options['vnpu_recover'] for one in self.look()])
            with mock.patch.dict(os.environ, {'LD_LIBRARY_PATH': str(self.dir)}):
                self.driver = self.start()
                self.assertEqual([shown] * 2, [one.options['vnpu_recover'] for one in self.look()])
            self.driver = self.start()
        with self.host.failing('dcmi_get_vnpu_config_recover_mode', code=-8002):
            self.assertEqual([None] * 2, [one.options['vnpu_recover'] for one in self.look()])

    def test_no_chip_suffers_when_the_mode_is_not_told(self) -> None:
        before = self.look()
        with self.host.hanging('dcmi_get_vnpu_config_recover_mode'):
            self.assertEqual(before, self.look())
            self.assertEqual(before, self.look())

    def test_what_was_recovered_is_found(self) -> None:
        nodes = self.make('s1', 'vir02')
        self.make('s2', 'vir01')
        self.host.add_vdevice(0, 'vir01')
        before = self.look()
        self.restart()
        self.assertEqual({'s1', 's2'}, self.slices())
        self.assertEqual(before, self.look())
        with self.host.failing('dcmi_create_vdevice'):
            self.assertEqual(nodes, self.make('s1', 'vir02'))

    def test_what_ended_while_the_host_was_away_is_destroyed_for_good_and_somebodys_is_not(self) -> None:
        self.make('s1', 'vir02')
        self.host.add_vdevice(0, 'vir02')
        self.restart()
        self.driver.need_slicing().destroy('s1')
        self.assertEqual([('vir02', 101)], self.host.vdevices(0))
        self.restart()
        self.assertEqual([('vir02', 101)], self.host.vdevices(0))
        self.assertEqual((Isolation.PARTITION,), self.driver.need_slicing().modes(self.look()[0]))

    def test_what_was_not_recovered_is_made_again_with_its_number(self) -> None:
        self.host.set_recover(0)
        nodes = {name: self.make(name, template) for name, template in (('s1', 'vir02'), ('s2', 'vir01'), ('s3', 'vir02_1c'))}
        self.host.add_vdevice(0, 'vir01')
        self.restart()
        self.assertEqual([], self.host.vdevices(0))
        with self.assertLogs('accelpool.drivers.book', 'WARNING') as logged:
            self.assertEqual(set(), self.slices())
        self.assertIn('npu-smi info -t vnpu-cfg-recover', logged.output[0])
        self.driver.need_slicing().destroy('s2')  # it ended meanwhile
        self.assertEqual(nodes['s3'], self.make('s3', 'vir02_1c'))
        self.assertEqual(nodes['s1'], self.make('s1', 'vir02'))
        self.assertEqual([('vir02', 100), ('vir02_1c', 102)], self.host.vdevices(0))

    def test_the_number_went_to_somebody_else(self) -> None:
        self.host.set_recover(0)
        self.make('s1', 'vir02')
        self.restart()
        self.host.add_vdevice(0, 'vir01')
        self.assertEqual(('/dev/vdavinci101',), self.make('s1', 'vir02'))
        self.driver.need_slicing().destroy('s1')
        self.assertEqual([('vir01', 100)], self.host.vdevices(0))

    def test_the_number_went_to_another_slice(self) -> None:
        self.host.set_recover(0)
        self.make('s1', 'vir02')
        self.restart()
        self.assertEqual(('/dev/vdavinci100',), self.make('s2', 'vir02'))
        self.assertEqual({'s2'}, self.slices())
        self.driver = self.start()
        self.assertEqual(('/dev/vdavinci101',), self.make('s1', 'vir02'))
        self.driver.need_slicing().destroy('s1')
        self.assertEqual([('vir02', 100)], self.host.vdevices(0))
        self.assertEqual({'s2'}, self.slices())

    def test_the_driver_recovers_while_it_is_made_again(self) -> None:
        """Whoever comes second finds what the other made."""
        nodes = self.make('s1', 'vir02')
        for first in (self.host.recover, lambda: None):
            self.restart(recovered=False)
            channel = self.driver.need_slicing()._ways['vnpu']._channel  # type: ignore[attr-defined]
            ask = channel.ask

            def asked(call: str, *arguments: object, ask: Any = ask, first: Any = first, **options: Any) -> Any:
                if call == 'create':
                    first()
                return ask(call, *arguments, **options)

            with mock.patch.object(channel, 'ask', asked):
                self.assertEqual(nodes, self.make('s1', 'vir02'))
            self.host.recover()
            self.assertEqual([('vir02', 100)], self.host.vdevices(0))

    def test_killed_while_it_was_made_and_then_the_host_restarted(self) -> None:
        self.make('s1', 'vir02')
        way = self.driver.need_slicing()._ways['vnpu']  # type: ignore[attr-defined]
        way._book.put('s9', {**way._book.entries['s1'], 'slice': 's9', 'vnpu': None, 'before': [100]})
        self.host.add_vdevice(0, 'vir02')
        self.restart()
        self.assertEqual(('/dev/vdavinci101',), self.make('s9', 'vir02'))
        self.assertEqual(2, len(self.host.vdevices(0)))
