# SPDX-License-Identifier: Apache-2.0
import unittest

from accelpool.db import allocation, inventory, session
from accelpool.types import Slice
from tests.support import database


class Held(unittest.TestCase):
    def test_every_slice_is_there_with_its_consumer_as_long_as_its_device_is_charged(self) -> None:
        database.use(self)
        database.add_device('d')
        names = [database.add_allocation(consumer_type=kind, consumer_id=who)
                 for kind, who in (('instance', 'vm'), ('process', None), ('node', 'n'))]
        with session.writer() as writer:
            for number, name in enumerate(names[:2], 1):
                allocation.claim(writer, name, [Slice(
                    id=name, allocation_id=name, device_id='d', host='host-a', compute=10 * number, memory=100)],
                    {'d': number})
        with session.reader() as reader:
            self.assertEqual([('d', 10, 100, 'instance', 'vm'), ('d', 20, 100, 'process', None)],
                             sorted(tuple(row) for row in inventory.held(reader)))
