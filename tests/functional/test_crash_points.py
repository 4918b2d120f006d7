# SPDX-License-Identifier: Apache-2.0
"""A crash after every step of create, bind and release: what is left comes to a sound end by itself.

The pieces are the real ones - scheduler, reconciler, two conductors with the mock driver, a database file - but
the bus is a queue here, and the agents are the tests' own.  A crash takes the process with every message that has
not been handled; agents and what drivers keep survive it, or the agents are new as well.
"""

import collections
import contextlib
import functools
import logging
import pathlib
import tempfile
import unittest
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import sqlalchemy as sa
from oslo_config import cfg
from oslo_config import fixture as cfg_fixture
from sqlalchemy import orm

from accelpool import conf, errors, types
from accelpool.allocations.reconciler import Reconciler
from accelpool.allocations.states import State
from accelpool.conductor.agentclient import AgentClient
from accelpool.conductor.service import Conductor
from accelpool.db import allocation, models, session
from accelpool.drivers.mock.slicing import MockSlicing
from accelpool.rpc import client
from accelpool.scheduler.service import SchedulerService
from tests.support import database
from tests.unit.conductor.fake_agent import FakeAgent

HOSTS = ('host-a', 'host-b')

#: More steps than any scenario has: a scenario that never ends fails instead of running for ever.
MOST_STEPS = 200


class Crash(BaseException):
    """The process ends here.  No ordinary handler may catch it."""


class Fuse:
    """Counts the steps of a scenario and crashes at one of them."""

    def __init__(self) -> None:
        self.left: int | None = None

    def burn(self) -> None:
        if self.left is None:
            return
        self.left -= 1
        if self.left < 0:
            self.left = None
            raise Crash

    def after(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method as a step: a crash comes before it, or after it."""
        @functools.wraps(method)
        def step(*args: Any, **kwargs: Any) -> Any:
            self.burn()
            result = method(*args, **kwargs)
            self.burn()
            return result
        return step


class Bus:
    """Messages in their order; a crash loses them."""

    def __init__(self) -> None:
        self.messages: collections.deque[Callable[[], None]] = collections.deque()
        self.receivers: dict[str, Any] = {}

    def say(self, receiver: str, method: str, allocation_id: str) -> None:
        self.messages.append(lambda: getattr(self.receivers[receiver], method)(allocation_id))

    def deliver(self) -> None:
        while self.messages:
            self.messages.popleft()()


class Speaker:
    """What scheduler, reconciler and conductors hold of each other."""

    def __init__(self, bus: Bus, receiver: str) -> None:
        self._bus, self._receiver = bus, receiver

    def schedule(self, allocation_id: str) -> None:
        self._bus.say(self._receiver, 'schedule', allocation_id)

    def bind(self, allocation_id: str) -> None:
        self._bus.say(self._receiver, 'bind', allocation_id)

    def release(self, allocation_id: str) -> None:
        self._bus.say(self._receiver, 'release', allocation_id)


class World:
    """A control plane that can crash and start again; hosts with an agent and a driver's state."""

    def __init__(self, place: pathlib.Path) -> None:
        self._place = place
        self.agents = {}
        for name in HOSTS:
            (place / name).mkdir()
            self.agents[name] = FakeAgent(place / name / 'agent.sock')
            self.agents[name].start()
        self.conductors: dict[str, Conductor] = {}
        self.start()

    def start(self) -> None:
        """A new process: whatever the former one had in mind is gone."""
        for conductor in self.conductors.values():
            conductor.agent.close()
        self.bus = Bus()
        speaker = functools.partial(Speaker, self.bus)
        self.scheduler = SchedulerService(speaker, down_after=3600)
        self.reconciler = Reconciler(speaker('scheduler'), speaker, 0, 3600)
        self.conductors = {
            name: Conductor(name, self._place / name, self._place / name / 'agent.sock') for name in HOSTS}
        self.bus.receivers = {
            'scheduler': self.scheduler,
            **{name: conductor.allocations for name, conductor in self.conductors.items()}}
        mock.patch.object(client, 'ConductorClient', speaker).start()
        for conductor in self.conductors.values():
            conductor.sync_inventory()
            conductor._handle({'event': 'connected'})

    def stop(self) -> None:
        for conductor in self.conductors.values():
            conductor.agent.close()
        for agent in self.agents.values():
            agent.stop()

    def restart_agents(self) -> None:
        for agent in self.agents.values():
            agent.stop()
            agent.start()

    def settle(self) -> None:
        """What the service does by itself, some times over."""
        for _ in range(4):
            self.reconciler.run()
            self.bus.deliver()
            for conductor in self.conductors.values():
                conductor.reconcile()
            self.bus.deliver()

    def create(self) -> str:
        """What the API does, and what follows: one slice on each host."""
        request = types.Request(count=2, compute=60, memory=600)
        identifier = session.retrying(lambda writer: allocation.create(
            writer, request=request, project_id='p', user_id='u')).id
        self.bus.say('scheduler', 'schedule', identifier)
        self.bus.deliver()
        return identifier

    def release(self, identifier: str) -> None:
        """What the API does, and what follows."""
        def begin(writer: orm.Session) -> set[str]:
            hosts = {found.host for found in allocation.get(writer, identifier).slices}
            allocation.release(writer, identifier, 'asked')
            return hosts
        for name in sorted(session.retrying(begin)):
            self.bus.say(name, 'release', identifier)
        self.bus.deliver()

    def holdings(self) -> list[set[str]]:
        """Return the slices that the database, the agents and the drivers have."""
        with session.reader() as reader:
            rows = set(reader.scalars(sa.select(models.Slice.id)))
        carved = {found.slice_id for conductor in self.conductors.values()
                  for found in conductor._drivers['mock'].need_slicing().list()}
        return [rows, {known for agent in self.agents.values() for known in agent.slices}, carved]


class CrashPoints(unittest.TestCase):
    def setUp(self) -> None:
        conf.register_all()
        config = cfg_fixture.Config(cfg.CONF)
        config.setUp()
        self.addCleanup(config.cleanUp)
        cfg.CONF([], project='accelpool', default_config_files=[])
        config.config(group='mock', devices=['emu:1GiB:1'])
        config.config(group='conductor', drivers=['mock'])
        # The clock of the control plane and its refusals are not what is looked at here.
        logging.disable(logging.ERROR)
        self.addCleanup(logging.disable, logging.NOTSET)
        database.use(self)
        self.fuse = Fuse()
        self.addCleanup(mock.patch.stopall)
        for owner, names in ((AgentClient, ('bind', 'unbind')), (MockSlicing, ('carve', 'destroy'))):
            for name in names:
                mock.patch.object(owner, name, self.fuse.after(getattr(owner, name))).start()
        for event in ('before_commit', 'after_commit'):
            self.listen(orm.Session, event, lambda _session: self.fuse.burn())

    def listen(self, target: Any, name: str, function: Callable[..., None]) -> None:
        sa.event.listen(target, name, function)
        self.addCleanup(sa.event.remove, target, name, function)

    @contextlib.contextmanager
    def world(self) -> Iterator[World]:
        with contextlib.ExitStack() as stack:
            place = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='accelpool-test-')))
            world = World(place)
            stack.callback(self.forget)
            stack.callback(world.stop)
            yield world

    @staticmethod
    def forget() -> None:
        """Leave the devices only: a new database for each crash would cost more than all the rest."""
        with session.writer() as writer:
            for model in (models.Event, models.Slice, models.Allocation):
                writer.execute(sa.delete(model))
            writer.execute(sa.update(models.Device).values(used_compute=0, used_memory=0, slices=0))

    def crashes(self, begin: Callable[[World], Any], scenario: Callable[[World, Any], Any],
                check: Callable[[World], None]) -> None:
        """Check a settled world for a crash at every step of a scenario, with old agents and with new ones."""
        for agents_too in (False, True):
            for steps in range(MOST_STEPS):
                with self.subTest(steps=steps, agents_too=agents_too), self.world() as world:
                    prepared = begin(world)
                    self.fuse.left = steps
                    crashed = True
                    with contextlib.suppress(Crash):
                        scenario(world, prepared)
                        crashed = False
                    self.fuse.left = None
                    if crashed:
                        if agents_too:
                            world.restart_agents()
                        world.start()
                        world.settle()
                    check(world)
                if not crashed:
                    self.assertGreater(steps, 10, 'the scenario has no steps')
                    break
            else:
                self.fail('the scenario does not end')

    def check(self, world: World) -> list[State]:
        """Nothing is leaked, nothing sold twice; returns the states of all allocations."""
        self.assertEqual(database.owed(), database.accounts())
        rows, admitted, carved = world.holdings()
        self.assertEqual(rows, admitted)
        self.assertEqual(rows, carved)
        with session.reader() as reader:
            found = list(reader.scalars(sa.select(models.Allocation).options(
                orm.selectinload(models.Allocation.slices))))
            for one in found:
                self.assertEqual(2 if one.state == State.ACTIVE else 0, len(one.slices), one.state)
                self.assertTrue(all(part.bound for part in one.slices))
            return [State(one.state) for one in found]

    def test_create(self) -> None:
        """Made, or never asked for: it becomes active in the end, and there is room for no other."""
        def check(world: World) -> None:
            states = self.check(world)
            self.assertIn(states, ([], [State.ACTIVE]))
            world.create()
            world.settle()
            self.assertEqual(sorted([*states, State.ERROR if states else State.ACTIVE]), sorted(self.check(world)))

        self.crashes(lambda _world: None, lambda world, _nothing: world.create(), check)

    def test_release(self) -> None:
        """Released in the end, unless the request itself was lost; the share can be sold again, once."""
        def check(world: World) -> None:
            (state,) = self.check(world)
            self.assertIn(state, (State.ACTIVE, State.RELEASED))
            world.create()
            world.settle()
            second = State.ERROR if state == State.ACTIVE else State.ACTIVE
            self.assertEqual(sorted([state, second]), sorted(self.check(world)))

        self.crashes(World.create, World.release, check)

    def test_host_that_cannot_bind(self) -> None:
        """One host refuses: the allocation goes to error with its reason, and holds nothing."""
        def refuse(world: World) -> None:
            world.agents['host-b'].refuse['bind'] = (errors.DriverError.code, 'no more room')

        def check(world: World) -> None:
            self.assertIn(self.check(world), ([], [State.ERROR]))
            self.assertEqual({(0, 0, 0)}, set(database.accounts().values()))

        self.crashes(refuse, lambda world, _nothing: world.create(), check)
