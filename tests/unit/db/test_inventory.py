# SPDX-License-Identifier: Apache-2.0
import datetime
import unittest

from sqlalchemy import orm

from accelpool.db import allocation, device, host, inventory, models, pool, service, session
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


class Mark(unittest.TestCase):
    """Whatever changes what the pool offers changes the mark."""

    def test_another_mark_after_every_change(self) -> None:
        database.use(self)
        database.add_device('d')
        seen = [self._mark()]
        self.assertEqual(seen[0], self._mark())
        name = database.add_allocation()

        def claim(writer: orm.Session) -> None:
            allocation.claim(writer, name, [Slice(
                id='s', allocation_id=name, device_id='d', host='host-a', compute=10, memory=100)],
                {'d': device.get(writer, 'd').generation})

        def release(writer: orm.Session) -> None:
            allocation.release(writer, name)
            allocation.release_slice(writer, 's')

        def disable_service(writer: orm.Session) -> None:
            service.update(writer, service.heard_of(writer, service.CONDUCTOR, 'host-a'), disabled=True)

        for change in (
                claim, release,
                lambda w: device.update(w, device.get(w, 'd'), enabled=False),
                lambda w: pool.create(w, name='more'),
                lambda w: pool.add_device(w, pool.get(w, 'more'), device.get(w, 'd')),
                lambda w: pool.update(w, pool.get(w, 'more'), isolations=['whole']),
                lambda w: pool.remove_device(w, pool.get(w, 'more'), device.get(w, 'd')),
                lambda w: pool.delete(w, pool.get(w, 'more')),
                lambda w: host.update(w, host.get(w, 'host-a'), enabled=False),
                lambda w: host.update(w, host.get(w, 'host-a'), enabled=True), disable_service):
            with session.writer() as writer:
                change(writer)
            seen.append(self._mark())
            self.assertNotEqual(seen[-2], seen[-1])
        with session.writer() as writer:
            service.update(writer, service.heard_of(writer, service.CONDUCTOR, 'host-a'), disabled=False)
        self.assertNotEqual(self._mark(), self._mark(datetime.timedelta(hours=1)))  # the host has been silent

    def _mark(self, ahead: datetime.timedelta = datetime.timedelta()) -> tuple[object, ...]:
        with session.reader() as reader:
            return inventory.mark(reader, models.utcnow() - datetime.timedelta(seconds=60) + ahead)
