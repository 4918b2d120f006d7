# SPDX-License-Identifier: Apache-2.0
"""The Ascend driver over the stand-in of DCMI: who may split chips, and where; the others are told so."""

import dataclasses
from typing import Any

from oslo_config import cfg

from accelpool import errors
from accelpool.types import Health
from tests.functional import test_ascend_driver as ascend

#: Of each model: its smallest template, and where else than on bare metal root may split it.
PLACES = {'310p3': ('vir01', {'vm', 'container', 'privileged'}), '910a': ('vir02', {'container', 'privileged'}),
          '910b3': ('vir05_1c_16g', {'privileged'})}
TOLD = 'answered -8002: permission denied: run the conductor as root on the host itself'


class Permissions(ascend.AscendCase):
    def on(self, model: str, **values: Any) -> None:
        self.describe({'driver': '25.5', 'dcmi': '1', **values, 'devices': [{'model': model, 'card': 0, 'bus': 1}]})

    def test_root_on_bare_metal_may_split_every_chip(self) -> None:
        for model, (template, _) in PLACES.items():
            with self.subTest(model):
                self.on(model)
                self.carve(self.look()[0], model, template=template)
                self.driver.need_slicing().destroy(model)
                self.assertEqual([], self.host.vdevices(0))

    def test_nobody_else_may(self) -> None:
        for model, (template, _) in PLACES.items():
            with self.subTest(model):
                self.on(model, root=0)
                with self.assertRaisesRegex(errors.DriverError, f'{template} cannot be made.*{TOLD}'):
                    self.carve(self.look()[0], model, template=template)
                self.assertEqual(set(), self.slices())

    def test_root_elsewhere_may_split_some_chips(self) -> None:
        for model, (template, allowed) in PLACES.items():
            for place in ('vm', 'container', 'privileged'):
                with self.subTest(model, place=place):
                    self.on(model, place=place)
                    device = self.look()[0]
                    if place in allowed:
                        self.carve(device, model, template=template)
                        self.driver.need_slicing().destroy(model)
                    else:
                        with self.assertRaisesRegex(errors.DriverError, TOLD):
                            self.carve(device, model, template=template)
                    self.assertEqual([], self.host.vdevices(0))

    def test_what_root_made_only_root_takes_apart(self) -> None:
        self.on('310p3')
        self.carve(self.look()[0], template='vir01')
        self.host.state.root = 0
        with self.assertRaisesRegex(errors.DriverError, f'cannot be taken apart.*{TOLD}'):
            self.driver.need_slicing().destroy('s1')
        self.assertEqual([('vir01', 100)], self.host.vdevices(0))
        self.host.state.root = 1
        self.driver.need_slicing().destroy('s1')
        self.assertEqual([], self.host.vdevices(0))

    def test_chips_are_found_without_the_modes_that_only_root_is_told(self) -> None:
        for model in PLACES:
            with self.subTest(model):
                self.on(model)
                device, = self.look()
                self.host.state.root = 0
                seen, = self.look()
                self.assertEqual((Health.OK, 'container', None), (
                    seen.health, seen.options['vnpu_mode'], seen.options['vnpu_recover']))
                self.assertEqual(device, dataclasses.replace(seen, options={**seen.options, 'vnpu_recover': True}))

    def test_the_mode_is_switched_on_bare_metal_and_for_a_910b_in_a_privileged_container(self) -> None:
        cfg.CONF.set_override('vnpu_mode', 'container', group='ascend')
        self.addCleanup(cfg.CONF.clear_override, 'vnpu_mode', group='ascend')
        for model, place in (('310p3', 'metal'), ('910b3', 'privileged')):
            with self.subTest(model):
                self.on(model, place=place, mode=1)
                self.assertEqual((None, 0), (self.look()[0].options['no_vnpus'], self.host.state.mode))
        self.on('310p3', place='vm', mode=1)
        self.assertRegex(self.look()[0].options['no_vnpus'], f'wants vNPUs for container.*{TOLD}')
        self.assertEqual(1, self.host.state.mode)
