# SPDX-License-Identifier: Apache-2.0
"""One host's conductor: its messages, its loops, and its view of the agent.

It can be killed and started again at any point: nothing but caches is kept here, every step may be repeated,
and :meth:`Conductor.reconcile` compares database, agent and drivers.
"""

import dataclasses
import functools
import pathlib
import threading
from collections.abc import Mapping, Set
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging

from accelpool import errors
from accelpool.allocations.states import Event, State
from accelpool.conductor import drift, inventory, resting
from accelpool.conductor.agentclient import AgentClient
from accelpool.conductor.allocations import Allocations
from accelpool.conductor.slices import Slices
from accelpool.db import allocation as db_allocation
from accelpool.db import device as db_device
from accelpool.db import enrolment as db_enrolment
from accelpool.db import event as db_event
from accelpool.db import host as db_host
from accelpool.db import models
from accelpool.db import pool as db_pool
from accelpool.db import service as db_service
from accelpool.db import session as db_session
from accelpool.db import slice as db_slice
from accelpool.drivers import base
from accelpool.loop import Loop
from accelpool.rpc import client, server, transport
from accelpool.types import Device

LOG = logging.getLogger(__name__)

#: Seconds between two tries to reach an agent that is not there.
RECONNECT = 0.2


class Conductor:
    """Owns the devices of one host."""

    def __init__(self, host: str, state_dir: pathlib.Path, agent_socket: pathlib.Path) -> None:
        """
        :param host: the host's name, also the conductor's server name on its topic
        :param state_dir: an existing directory for the drivers' state
        :param agent_socket: the control socket of the host's agent
        :raises NotSupported: a configured driver does not exist
        """
        conf = cfg.CONF
        self._host = host
        self._drivers = base.load(conf.conductor.drivers, host, state_dir)
        self.agent = AgentClient(agent_socket, conf.agent.timeout, conf.agent.advertise)
        self._slices = Slices(self._drivers, self.agent)
        self.allocations = Allocations(
            host, self._slices, self.agent, device=self._device, lifetime=conf.agent.credential_lifetime,
            release_on=lambda other, allocation_id: client.ConductorClient(other).release(allocation_id),
            let_go=self.let_go)
        self._devices: dict[str, Device] = {}
        self._resting: Set[str] = frozenset()
        self._letting_go = threading.Lock()
        self._advertise: list[Any] | None = None
        self._renewals: dict[str, int] = {}
        self._lost: set[str] = set()
        self._agent_seen = threading.Event()
        self._stopped = threading.Event()
        self._inventory = Loop(f'inventory of {host}', conf.conductor.inventory_interval, self.sync_inventory)
        self._heartbeat = Loop(f'heartbeat of {host}', conf.conductor.heartbeat_interval, self.heartbeat)
        self._reconcile = Loop(f'reconciler of {host}', conf.conductor.reconcile_interval, self.reconcile)
        self._watch = threading.Thread(target=self._watch_agent, name=f'watch on {host}', daemon=True)

    def start(self) -> None:
        """Publish the inventory, then serve."""
        self.let_go()
        self.sync_inventory()
        self._server = server.start(
            transport.CONDUCTOR_TOPIC, self._host, self.allocations, threads=cfg.CONF.conductor.threads)
        for loop in (self._inventory, self._heartbeat, self._reconcile):
            loop.start()
        self._watch.start()

    def stop(self) -> None:
        """End everything that was started; the agent and its sessions go on."""
        self._stopped.set()
        self._server.stop()
        self._server.wait()
        for loop in (self._inventory, self._heartbeat, self._reconcile):
            loop.stop()
        self.agent.close()
        self._watch.join()

    def wait_for_agent(self, timeout: float) -> bool:
        """Wait until the agent has answered for the first time; False when it did not within ``timeout`` seconds."""
        return self._agent_seen.wait(timeout)

    def devices(self) -> dict[str, Device]:
        """Return this host's devices as last seen, by id."""
        return self._devices

    def driver_metrics(self) -> dict[str, dict[str, float]]:
        """Return what the drivers measure: device id -> name -> value."""
        found: dict[str, dict[str, float]] = {}
        for driver in self._drivers.values():
            found |= driver.inventory.metrics()
        return found

    def let_go(self) -> None:
        """Have the drivers let go of the devices that somebody else needs for himself."""
        with self._letting_go:  # what was read earlier is not to come later
            with db_session.reader() as session:
                holdings = [resting.Holding(*row) for row in db_device.holdings(session, self._host)]
            sessions: dict[str, int] | None = {}
            if any(one.slice_id is not None and not one.enabled for one in holdings):
                usage = self._usage()
                sessions = None if usage is None else {one['slice_id']: one['sessions'] for one in usage['slices']}
            self._resting = resting.resting(self._host, holdings, sessions)
            for driver in self._drivers.values():
                driver.inventory.rest(self._resting)

    def sync_inventory(self) -> None:
        """Write what has changed of the devices to the database."""
        rested = self._resting
        found, looked = [], []
        for name, driver in self._drivers.items():
            try:
                devices = driver.inventory.discover()
            except errors.DriverError as error:
                LOG.warning('The driver %s could not look: %s', name, error.detail)
                continue
            looked.append(name)
            found += [dataclasses.replace(device, modes=driver.slicing.modes(device) if driver.slicing else ())
                      for device in devices]
        self.let_go()
        if rested - self._resting:
            self._inventory.poke()
        with db_session.reader() as session:
            known = db_device.of_host(session, self._host)
        changed = inventory.delta(known, found, looked, rested | self._resting)
        if changed:
            db_session.retrying(lambda session: self._save(session, changed, known))
        self._devices = known | {device.id: device for device in changed}

    def heartbeat(self) -> None:
        """Note that this conductor lives, that its host is usable, and which allocations are in use.

        A host is usable when its agent answers.
        """
        asked = models.utcnow()
        usage = self._usage()

        def note(session: Any) -> None:
            db_service.heard_of(
                session, db_service.CONDUCTOR, self._host, topic=transport.CONDUCTOR_TOPIC, version=transport.VERSION)
            if usage is not None:
                db_host.heard_of(session, self._host, self._advertise or [], at=asked)
                live = {used['allocation_id'] for used in usage['slices'] if used['sessions']}
                db_allocation.touch(session, live | renewed | set(usage['holders']))
                db_enrolment.seen(session, renewed)

        renewed = set() if usage is None else self._renewed(usage['slices'])
        db_session.retrying(note)

    def reconcile(self) -> None:
        """Bring agent and drivers to what the database says.

        :raises AgentUnavailable: there is no agent any more; it is done when one comes
        """
        if not self._agent_seen.is_set():
            return
        admitted = {used['slice_id']: used['generation'] for used in self.agent.slices()}
        carved = self._slices.carved()
        with db_session.reader() as session:
            rows = [drift.Row(found.id, found.allocation_id, found.generation, found.bound, State(state))
                    for found, state in db_slice.of_host(session, self._host)]
        needed = drift.compare(rows, admitted, carved, self._slices.kept())
        lost = self._tell_lost(needed.lost)
        for slice_id in needed.unbind:
            LOG.warning('The agent of %s had a slice that nobody owns: %s', self._host, slice_id)
        # What is made again is not what the sessions of a lost slice had: they would go on with what is gone.
        steps = [functools.partial(self.agent.unbind, slice_id) for slice_id in needed.unbind | lost]
        steps += [functools.partial(self._slices.destroy, *carved_by) for carved_by in needed.destroy.items()]
        steps += [functools.partial(self.allocations.release, allocation_id) for allocation_id in needed.release]
        steps += [functools.partial(self.allocations.bind, allocation_id) for allocation_id in needed.bind]
        for step in steps:
            try:
                step()
            except errors.AgentUnavailable:
                raise
            except errors.AccelpoolError as error:  # the others get their turn, this one the next time
                LOG.warning('%s%s: %s', step.func.__name__, step.args, error.detail)

    def _tell_lost(self, lost: Mapping[str, str]) -> set[str]:
        """Tell allocations, once, that the hardware has lost their slices, and return these; the driver logs why."""
        # What was carved after the drivers had been asked is not lost.
        still = lost.keys() - self._slices.carved().keys() if lost else set()
        told = {slice_id: lost[slice_id] for slice_id in still - self._lost}

        def note(session: Any) -> None:
            for slice_id, allocation_id in told.items():
                db_event.add(session, allocation_id, Event.DEVICE, detail=f'slice {slice_id} on {self._host} '
                             'was not there any more: its sessions have ended, it is made again')

        if told:
            db_session.retrying(note)
        self._lost = set(still)
        return self._lost

    def _device(self, device_id: str) -> Device:
        try:
            return self._devices[device_id]
        except KeyError:
            raise errors.DriverError(f'Host {self._host} does not know the device {device_id}') from None

    def _save(self, session: Any, changed: list[Device], known: dict[str, Device]) -> None:
        host = db_host.heard_of(session, self._host)
        pool = db_pool.ensure_default(session)
        for device in changed:
            LOG.info('Device %s of %s: %s', device.id, self._host, device.health)
            was = known.get(device.id)
            if was is not None and (device.health, device.health_reason) != (was.health, was.health_reason):
                told = f'{device.model} on {self._host} is {device.health}' \
                    + (f': {device.health_reason}' if device.health_reason else '')
                for allocation_id in db_slice.allocations_on(session, device.id):  # before devices, as releases do
                    db_event.add(session, allocation_id, Event.DEVICE, detail=told)
            db_device.save(session, host, device)
            if was is None:
                db_pool.add_device(session, pool, db_device.get(session, device.id))

    def _renewed(self, slices: list[dict[str, Any]]) -> set[str]:
        """Return the allocations whose credentials the agent has renewed since the last time: their guests live."""
        before, self._renewals = self._renewals, {used['slice_id']: used.get('renewals', 0) for used in slices}
        return {used['allocation_id'] for used in slices
                if self._renewals[used['slice_id']] != before.get(used['slice_id'], 0)}

    def _usage(self) -> dict[str, Any] | None:
        try:
            return self.agent.usage()
        except errors.AgentUnavailable:
            return None

    def _watch_agent(self) -> None:
        """Follow the agent's events; whenever a new agent answers, tell it everything."""
        while not self._stopped.is_set():
            try:
                for event in self.agent.watch():
                    self._handle(event)
            except errors.AgentUnavailable as error:
                LOG.debug('%s', error.detail)
            except Exception:
                LOG.exception('Watching the agent of %s failed', self._host)
            self._stopped.wait(RECONNECT)

    def _handle(self, event: dict[str, Any]) -> None:
        match event.get('event'):
            case 'connected':
                LOG.info('The agent of %s answers', self._host)
                self._advertise = self.agent.hello().get('advertise', [])
                self._agent_seen.set()
                self._reconcile.poke()
                self._heartbeat.poke()
            case 'holder-closed':
                self._release(event['allocation_id'], 'its holder has gone')

    def _release(self, allocation_id: str, why: str) -> None:
        """Release an allocation at once, on all its hosts."""

        def begin(session: Any) -> set[str]:
            hosts = {found.host for found in db_slice.of_allocation(session, allocation_id)}
            if session.get(models.Allocation, allocation_id) is not None:
                db_allocation.release(session, allocation_id, why)
            return hosts

        for host in db_session.retrying(begin):
            client.ConductorClient(host).release(allocation_id)
