# SPDX-License-Identifier: Apache-2.0
"""Only what changed is written; what has gone is reported, not forgotten."""

import dataclasses
import unittest

from accelpool.conductor import inventory
from accelpool.types import Device, Health

ONE = Device(id='1', driver='mock', vendor='v', model='m', memory=1024)
TWO = dataclasses.replace(ONE, id='2')


def known(*devices: Device) -> dict[str, Device]:
    return {device.id: device for device in devices}


class Delta(unittest.TestCase):
    def test_nothing_changed(self) -> None:
        self.assertEqual([], inventory.delta(known(ONE, TWO), [TWO, ONE], ['mock']))

    def test_new_and_changed(self) -> None:
        ill = dataclasses.replace(ONE, health=Health.FAILED, health_reason='burnt')
        self.assertEqual([ill, TWO], inventory.delta(known(ONE), [ill, TWO], ['mock']))

    def test_gone_and_back(self) -> None:
        (gone,) = inventory.delta(known(ONE, TWO), [TWO], ['mock'])
        self.assertEqual(('1', Health.MISSING), (gone.id, gone.health))
        self.assertEqual([], inventory.delta(known(gone, TWO), [TWO], ['mock']))
        self.assertEqual([ONE], inventory.delta(known(gone, TWO), [ONE, TWO], ['mock']))

    def test_a_driver_that_could_not_look_says_nothing(self) -> None:
        other = dataclasses.replace(ONE, id='3', driver='nvidia')
        self.assertEqual([], inventory.delta(known(ONE, other), [ONE], ['mock']))
