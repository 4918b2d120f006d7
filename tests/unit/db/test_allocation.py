# SPDX-License-Identifier: Apache-2.0
import datetime
import unittest

import sqlalchemy as sa
from alembic import autogenerate
from alembic.runtime import migration as alembic_migration

from accelpool import errors, types
from accelpool.allocations.states import Event, State
from accelpool.db import allocation, clock, device, event, migration, models, session
from tests.support import database


class Migration(unittest.TestCase):
    def test_migrations_and_models_agree(self) -> None:
        database.use(self)
        with session.engine().connect() as connection:
            context = alembic_migration.MigrationContext.configure(connection)
            self.assertEqual([], autogenerate.compare_metadata(context, models.Base.metadata))
        self.assertEqual(migration.head(), migration.version(session.engine()))


class Allocation(unittest.TestCase):
    def setUp(self) -> None:
        database.use(self)
        database.add_device('d1')

    def claim(self, identifier: str, compute: int = 10, generation: int | None = None) -> str:
        with session.writer() as writer:
            now = device.get(writer, 'd1').generation
            chosen = types.Slice(id=models.new_id(), allocation_id=identifier, device_id='d1', host='host-a',
                                 compute=compute, memory=100)
            allocation.claim(writer, identifier, [chosen], {'d1': now if generation is None else generation})
        return chosen.id

    def test_claim_charges_and_release_gives_back_once(self) -> None:
        identifier = database.add_allocation()
        slice_id = self.claim(identifier)
        self.assertEqual({'d1': (10, 100, 1)}, database.accounts())
        with session.writer() as writer:
            allocation.release(writer, identifier, 'asked')
        with session.writer() as writer:
            self.assertTrue(allocation.release_slice(writer, slice_id))
        with session.writer() as writer:
            self.assertFalse(allocation.release_slice(writer, slice_id))
        self.assertEqual({'d1': (0, 0, 0)}, database.accounts())
        self.assertEqual(State.RELEASED, database.state_of(identifier))
        with session.reader() as reader:
            self.assertEqual(['create', 'claim', 'release', 'finish'],
                             [e.event for e in event.list_page(reader, allocation_id=identifier)])

    def test_claim_on_an_old_generation_changes_nothing(self) -> None:
        identifier = database.add_allocation()
        with self.assertRaises(errors.ClaimConflict):
            self.claim(identifier, generation=0)
        self.assertEqual({'d1': (0, 0, 0)}, database.accounts())
        self.assertEqual(State.PENDING, database.state_of(identifier))

    def test_claim_beyond_capacity_is_refused_even_on_the_right_generation(self) -> None:
        with self.assertRaises(errors.ClaimConflict):
            self.claim(database.add_allocation(), compute=101)

    def share(self, compute: int, overhead: int = 0) -> str:
        """Claim a share of d1 as it was decided some time ago; return the allocation."""
        identifier = database.add_allocation()
        with session.writer() as writer:
            allocation.claim(writer, identifier, [types.Slice(
                id=models.new_id(), allocation_id=identifier, device_id='d1', host='host-a', compute=compute, memory=100,
                overhead=overhead)], {'d1': None})
        return identifier

    def test_claims_where_only_the_share_counts_do_not_refuse_each_other_and_are_never_too_much(self) -> None:
        for used in (40, 80):
            self.share(40)
            self.assertEqual(used, database.accounts()['d1'][0])
        with self.assertRaises(errors.ClaimConflict):
            self.share(21)
        self.share(20)
        self.assertEqual({'d1': (100, 300, 3)}, database.accounts())

    def test_the_overhead_of_a_share_is_charged_to_the_device_alone(self) -> None:
        database.add_device('d1', overhead=350)
        first = self.share(10, 350)
        self.share(10, 350)
        self.assertEqual({'d1': (20, 900, 2)}, database.accounts())
        with self.assertRaises(errors.ClaimConflict):
            self.share(10, 350)
        with session.reader() as reader:
            (piece,) = allocation.get(reader, first).slices
            self.assertEqual((100, 350), (piece.memory, piece.overhead))
            self.assertEqual(300, reader.get(models.Quota, 'p').used_memory, 'three times the memory that was asked for')
        with session.writer() as writer:
            allocation.release(writer, first)
            allocation.release_slice(writer, piece.id)
        self.assertEqual({'d1': (10, 450, 1)}, database.accounts())

    def test_another_overhead_is_charged_for_the_shares_that_there_are(self) -> None:
        identifier = self.share(10)
        database.add_device('d1', overhead=350)
        self.assertEqual({'d1': (10, 450, 1)}, database.accounts())
        self.assertEqual(database.owed(), database.accounts())
        with self.assertRaises(errors.ClaimConflict, msg='it was decided on the former one'):
            self.share(10)
        for overhead, used in ((2000, 2100), (200, 300)):  # more than it has: nothing more fits, nothing is lost
            database.add_device('d1', overhead=overhead)
            self.assertEqual({'d1': (10, used, 1)}, database.accounts())
        with session.writer() as writer:
            allocation.release(writer, identifier)
            allocation.release_slice(writer, allocation.get(writer, identifier).slices[0].id)
        self.assertEqual({'d1': (0, 0, 0)}, database.accounts())

    def test_no_share_of_a_device_that_was_disabled_or_fell_ill_meanwhile(self) -> None:
        for values in ({'enabled': False}, {'enabled': True, 'health': 'failed'}):
            with session.writer() as writer:
                device.update(writer, device.get(writer, 'd1'), **values)
            with self.assertRaises(errors.ClaimConflict):
                self.share(10)

    def test_transition_from_another_state_than_expected(self) -> None:
        identifier = database.add_allocation()
        with self.assertRaises(errors.StateConflict), session.writer() as writer:
            allocation.transition(writer, identifier, Event.CLAIM, expected=[State.ACTIVE])

    def test_release_of_what_holds_nothing_is_immediate_and_may_be_repeated(self) -> None:
        identifier = database.add_allocation()
        for _ in range(2):
            with session.writer() as writer:
                self.assertEqual(State.RELEASED, allocation.release(writer, identifier))

    def test_downtime_does_not_count_against_the_time_to_live(self) -> None:
        identifier = database.add_allocation(ttl=60)
        with session.reader() as reader:
            before = allocation.get(reader, identifier).expires_at
        start = models.utcnow()
        with session.writer() as writer:
            clock.tick(writer, start, datetime.timedelta.max)
        hour = datetime.timedelta(hours=1)
        for now, moved in ((start, 0), (start + hour, 1), (start + hour + datetime.timedelta(seconds=1), 0)):
            with session.writer() as writer:
                self.assertEqual(moved * hour, clock.tick(writer, now, datetime.timedelta(seconds=20)))
        with session.reader() as reader:
            self.assertEqual(before + hour, allocation.get(reader, identifier).expires_at)

    def test_purge_deletes_old_released_ones_only(self) -> None:
        gone, kept = database.add_allocation(), database.add_allocation()
        with session.writer() as writer:
            allocation.release(writer, gone)
            self.assertEqual(0, allocation.purge(writer, 9, before=models.utcnow() - datetime.timedelta(days=1)))
            self.assertEqual(1, allocation.purge(writer, 9, before=models.utcnow() + datetime.timedelta(seconds=1)))
        self.assertEqual(State.PENDING, database.state_of(kept))
        self.assertRaises(errors.NotFound, database.state_of, gone)


class Paging(unittest.TestCase):
    def test_pages_with_equal_and_missing_sort_values_cover_everything_once(self) -> None:
        database.use(self)
        names = [None, 'b', 'a', None, 'b', 'c', 'a']
        ids = [database.add_allocation(name=name) for name in names]
        for direction in ('asc', 'desc'):
            found: list[models.Allocation] = []
            while True:
                with session.reader() as reader:
                    page = allocation.list_page(reader, sort=[('name', direction)], limit=2,
                                                marker=found[-1].id if found else None)
                if not page:
                    break
                found += page
            self.assertCountEqual(ids, [one.id for one in found])
            values = [one.name or '' for one in found]
            self.assertEqual(sorted(values, reverse=direction == 'desc'), values)

    def test_unknown_marker_names_the_field(self) -> None:
        database.use(self)
        with self.assertRaises(errors.InvalidRequest) as caught, session.reader() as reader:
            allocation.list_page(reader, marker='nothing')
        self.assertEqual('marker', caught.exception.field)

    def test_lists_are_one_query_whatever_their_length(self) -> None:
        database.use(self)
        for number in range(20):
            database.add_device(f'd{number}', on=f'host-{number}')
        queries: list[str] = []
        sa.event.listen(session.engine(), 'before_cursor_execute', lambda *args: queries.append(args[2]))
        with session.reader() as reader:
            shown = [(d.host.name, [p.name for p in d.pools]) for d in device.list_page(reader)]
        self.assertEqual(20, len(shown))
        self.assertLessEqual(len(queries), 3)
