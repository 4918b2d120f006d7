# SPDX-License-Identifier: Apache-2.0
import datetime
import unittest
from unittest import mock

from accelpool import types
from accelpool.allocations.reconciler import Action, Reconciler, Seen, Step, decide
from accelpool.allocations.states import Event, State
from accelpool.db import allocation, device, host, models, session
from tests.support import database

NOW = datetime.datetime(2026, 1, 1)
PATIENCE = datetime.timedelta(seconds=5)
BIND_TIMEOUT = datetime.timedelta(seconds=60)
LONG_AGO, JUST_NOW = NOW - datetime.timedelta(seconds=6), NOW - datetime.timedelta(seconds=1)
HOSTS = frozenset({'host-a'})


class Decide(unittest.TestCase):
    def step(self, state: State, updated: datetime.datetime = LONG_AGO, **values: object) -> Step | None:
        actions = decide([Seen('x', state, updated, **values)], NOW, PATIENCE, BIND_TIMEOUT)
        return actions[0].step if actions else None

    def test_what_is_stuck_gets_its_message_again(self) -> None:
        self.assertEqual(Step.SCHEDULE, self.step(State.PENDING))
        self.assertEqual(Step.BIND, self.step(State.SCHEDULED, hosts=HOSTS))
        self.assertEqual(Step.BIND, self.step(State.BINDING, hosts=HOSTS))
        self.assertEqual(Step.RELEASE, self.step(State.RELEASING, hosts=HOSTS))
        self.assertEqual(Step.FINISH, self.step(State.RELEASING))
        self.assertEqual(Step.RELEASE, self.step(State.ERROR, hosts=HOSTS))

    def test_what_is_under_way_or_settled_is_left_alone(self) -> None:
        for state in State:
            self.assertIsNone(self.step(state, JUST_NOW, hosts=HOSTS), state)
        for state in (State.ACTIVE, State.SUSPENDED, State.ERROR, State.RELEASED):
            self.assertIsNone(self.step(state), state)

    def test_what_has_expired_is_released_once(self) -> None:
        for state in set(State) - {State.RELEASING, State.RELEASED}:
            self.assertEqual(Step.EXPIRE, self.step(state, JUST_NOW, expires_at=NOW))
        self.assertIsNone(self.step(State.RELEASING, JUST_NOW, expires_at=LONG_AGO))
        self.assertIsNone(self.step(State.RELEASED, expires_at=LONG_AGO))
        self.assertIsNone(self.step(State.ACTIVE, expires_at=NOW + PATIENCE))

    def test_silent_host_may_hide_a_use_so_nothing_expires_before_it_speaks(self) -> None:
        values = {'updated': LONG_AGO, 'hosts': HOSTS, 'expires_at': NOW - PATIENCE}
        self.assertIsNone(self.step(State.ACTIVE, heard=NOW - 2 * PATIENCE, **values))
        self.assertEqual(Step.EXPIRE, self.step(State.ACTIVE, heard=NOW - PATIENCE, **values))
        # What is being made or undone goes on meanwhile.
        self.assertEqual(Step.BIND, self.step(State.BINDING, heard=NOW - 2 * PATIENCE, **values))

    def test_host_that_never_binds_is_given_up(self) -> None:
        long_ago = NOW - BIND_TIMEOUT - PATIENCE
        for state in (State.SCHEDULED, State.BINDING):
            self.assertEqual(Step.GIVE_UP, self.step(state, long_ago, hosts=HOSTS))
        for state in (State.PENDING, State.RELEASING):
            self.assertNotEqual(Step.GIVE_UP, self.step(state, long_ago, hosts=HOSTS))

    def test_action_names_the_hosts(self) -> None:
        self.assertEqual([Action(Step.BIND, 'x', HOSTS)],
                         decide([Seen('x', State.BINDING, LONG_AGO, hosts=HOSTS)], NOW, PATIENCE, BIND_TIMEOUT))


class _Bus:
    """Remembers what was said to whom."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, str]] = []

    def schedule(self, allocation_id: str) -> None:
        self.said.append(('schedule', '', allocation_id))

    def conductor(self, host: str) -> '_Host':
        return _Host(self, host)


class _Host:
    def __init__(self, bus: _Bus, name: str) -> None:
        self.bus, self.name = bus, name

    def bind(self, allocation_id: str) -> None:
        self.bus.said.append(('bind', self.name, allocation_id))

    def release(self, allocation_id: str) -> None:
        self.bus.said.append(('release', self.name, allocation_id))


class Looking(unittest.TestCase):
    """The reconciler on a database."""

    def setUp(self) -> None:
        database.use(self)
        database.add_device('d1')
        self.bus = _Bus()
        self.now = models.utcnow()
        self.reconciler = Reconciler(self.bus, self.bus.conductor, 5, 60)
        self.actions()

    def actions(self, later: float = 0) -> list[Step]:
        """What is done that many seconds later, with a control plane that was up all the time."""
        now = self.now + datetime.timedelta(seconds=later)
        with session.writer() as writer:
            writer.get_one(models.Clock, 1).ticked_at = now
        with mock.patch.object(models, 'utcnow', return_value=now):
            return [action.step for action in self.reconciler.run()]

    def place(self, ttl: int | None = None, consumer_host: str | None = None, *, active: bool = True) -> str:
        identifier = database.add_allocation(ttl=ttl, consumer_host=consumer_host)
        with session.writer() as writer:
            chosen = types.Slice(id=models.new_id(), allocation_id=identifier, device_id='d1', host='host-a',
                                 compute=10, memory=100)
            allocation.claim(writer, identifier, [chosen], {'d1': device.get(writer, 'd1').generation})
            if active:
                allocation.transition(writer, identifier, Event.BIND)
                allocation.bound(writer, identifier, [chosen.id])
        return identifier

    def hear(self, name: str, later: float, *uses: str) -> None:
        """A host speaks, and names the allocations that are in use there."""
        now = self.now + datetime.timedelta(seconds=later)
        with mock.patch.object(models, 'utcnow', return_value=now), session.writer() as writer:
            host.heard_of(writer, name, [])
            allocation.touch(writer, uses)

    def test_lost_messages_are_sent_again(self) -> None:
        lost = database.add_allocation()
        placed = self.place(active=False)
        self.assertEqual([], self.actions(later=3))
        self.actions(later=6)
        self.assertCountEqual([('schedule', '', lost), ('bind', 'host-a', placed)], self.bus.said)

    def test_host_that_does_not_bind(self) -> None:
        identifier = self.place(active=False)
        self.assertEqual([Step.GIVE_UP], self.actions(later=70))
        self.assertEqual(State.ERROR, database.state_of(identifier))
        with session.reader() as reader:
            self.assertIn('host-a', allocation.get(reader, identifier).reason)
        self.assertIn(('release', 'host-a', identifier), self.bus.said)

    def test_unused_allocation_expires(self) -> None:
        identifier = self.place(ttl=10)
        self.hear('host-a', 11)
        self.assertEqual([Step.EXPIRE], self.actions(later=12))
        self.assertEqual(State.RELEASING, database.state_of(identifier))
        self.assertEqual([('release', 'host-a', identifier)], self.bus.said)

    def test_allocation_in_use_never_expires(self) -> None:
        identifier = self.place(ttl=10)
        for later in range(0, 100, 7):
            self.hear('host-a', later, identifier)
            self.assertEqual([], self.actions(later=later + 1))
        self.hear('host-a', 200)
        self.assertEqual([Step.EXPIRE], self.actions(later=201))

    def test_use_on_the_consumers_host_counts_too(self) -> None:
        self.hear('host-b', 0)
        identifier = self.place(ttl=10, consumer_host='host-b')
        self.hear('host-a', 20)
        self.assertEqual([], self.actions(later=21))
        self.hear('host-b', 22, identifier)
        self.assertEqual([], self.actions(later=23))
        for name in ('host-a', 'host-b'):
            self.hear(name, 40)
        self.assertEqual([Step.EXPIRE], self.actions(later=41))

    def test_disabled_host_is_not_waited_for(self) -> None:
        self.place(ttl=10)
        self.assertEqual([], self.actions(later=11))
        with session.writer() as writer:
            host.update(writer, host.get(writer, 'host-a'), enabled=False)
        self.assertEqual([Step.EXPIRE], self.actions(later=12))

    def test_extended_between_look_and_act(self) -> None:
        identifier = self.place(ttl=10)
        with session.writer() as writer:
            self.assertFalse(allocation.expire(writer, identifier, self.now))
        self.assertEqual(State.ACTIVE, database.state_of(identifier))

    def test_use_is_no_progress(self) -> None:
        """A holder that is there already must not hide that binding is stuck."""
        identifier = self.place(ttl=1000, active=False)
        self.hear('host-a', 6, identifier)
        self.assertEqual([Step.BIND], self.actions(later=7))
