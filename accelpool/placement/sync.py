# SPDX-License-Identifier: Apache-2.0
"""Keeps Placement as the database is: a loop of one scheduler.

The scheduler has it because it is the service that changes what is free, there is always one, and it needs no host of
its own.  Among several the first by name that is alive does it.  While one takes over from another two may do it at
once: both want the same, and Placement's generations let only one of two changes through.  Nothing is remembered but
what saves reading: a new leader, or one that comes back, compares everything.
"""

import dataclasses
import datetime
import logging
import time
from collections.abc import Collection, Iterable
from typing import Any

from oslo_config import cfg

from accelpool import errors, ksa
from accelpool.db import candidate as db_candidate
from accelpool.db import inventory as db_inventory
from accelpool.db import models
from accelpool.db import pool as db_pool
from accelpool.db import service as db_service
from accelpool.db import session as db_session
from accelpool.loop import Loop
from accelpool.placement import names
from accelpool.placement.client import MICROVERSION, Client, Listed
from accelpool.placement.difference import Found, Step, Verb, difference, join
from accelpool.placement.providers import Amounts, Holding, Provider, providers

LOG = logging.getLogger(__name__)

#: How often a change is decided anew after somebody else has changed the provider.
ATTEMPTS = 5
#: Seconds after which everything is read again although nothing seems to have changed: the deletion of a consumer's
#: allocations does not raise a provider's generation.
FRESH = 60.0


@dataclasses.dataclass(frozen=True)
class _Known:
    """A provider that was right when it was last seen."""

    wanted: Provider
    generation: int
    until: float                      # monotonic time


class Sync:
    """Compares and changes; :meth:`run` is done by a loop."""

    def __init__(self, client: Client, host: str, down_after: float, local_pools: Collection[str] = ()) -> None:
        """
        :param host: the name of this scheduler
        :param down_after: seconds of silence after which a host or a service counts as down
        :param local_pools: names of pools whose devices only their own host can use
        """
        self._client = client
        self._host = host
        self._down_after = datetime.timedelta(seconds=down_after)
        self._local_pools = frozenset(local_pools)
        self._mark: tuple[Any, ...] | None = None
        self._last: dict[str, Provider] = {}     # what was wanted when the database had that mark,
        self._until = 0.0                        # and until when that is believed
        self._known: dict[str, _Known] = {}
        self._joined: dict[str, int] = {}    # members of the aggregate -> generation when that was seen
        self._trouble: str | None = None

    def run(self) -> None:
        """Bring Placement to what the database says, if it is this scheduler's turn.

        Trouble is logged when it begins and when it ends; claims do not wait for Placement.
        """
        try:
            if self._leads():
                self.reconcile()
            else:
                self._forget()
        except errors.AccelpoolError as error:
            self._forget()
            if self._trouble is None:
                LOG.warning('The inventory in Placement is not kept: %s', error.detail)
            self._trouble = error.detail
        else:
            if self._trouble is not None:
                LOG.info('The inventory in Placement is kept again')
            self._trouble = None

    def reconcile(self) -> None:
        """Compare everything that may have changed, and change it.

        :raises ServiceUnavailable: Placement cannot be reached, or a provider changed whenever it was looked at
        """
        ours = self._client.ours()
        computes = self._client.computes()
        wanted = self._wanted(computes)
        self._join(computes if any(one.shared for one in wanted.values()) else {})
        troubles = []
        for identifier in sorted(wanted.keys() | ours.keys()):
            if self._is_right(identifier, wanted.get(identifier), ours.get(identifier)):
                continue
            try:
                self._settle(identifier, wanted.get(identifier))
            except errors.Conflict as conflict:
                troubles.append(conflict.detail)
        self._known = {identifier: known for identifier, known in self._known.items() if identifier in wanted}
        if troubles:
            raise errors.ServiceUnavailable('; '.join(troubles))

    def _leads(self) -> bool:
        """Whether no scheduler that works comes before this one.  One with another clock may think so too."""
        with db_session.reader() as session:
            services = db_service.list_page(session, filters={'binary': db_service.SCHEDULER, 'disabled': False})
        since = models.utcnow() - self._down_after
        working = [service.host for service in services if service.host == self._host or service.last_seen >= since]
        return min(working, default=None) == self._host

    def _forget(self) -> None:
        self._mark = None
        self._known.clear()
        self._joined.clear()
        self._client.forget()

    def _wanted(self, computes: dict[str, Listed]) -> dict[str, Provider]:
        up_since = models.utcnow() - self._down_after
        hosts = {one.name: one.uuid for one in computes.values()}
        with db_session.reader() as session:
            mark = (hosts, *db_inventory.mark(session, up_since))
            if mark != self._mark or time.monotonic() > self._until:
                self._mark, self._until = mark, time.monotonic() + FRESH
                self._last = self._read(session, up_since, hosts)
        return self._last

    def _read(self, session: Any, up_since: datetime.datetime, hosts: dict[str, str]) -> dict[str, Provider]:
        pools = {pool.id for pool in db_pool.list_page(session) if pool.name in self._local_pools} \
            if self._local_pools else set()
        holdings = [
            Holding(row.device_id, Amounts(row.compute, row.memory),
                    row.consumer_id if row.consumer_type == 'instance' else None)
            for row in db_inventory.held(session)]
        return providers(db_candidate.look(session, up_since), holdings, hosts, pools)

    def _join(self, computes: dict[str, Listed]) -> None:
        """Make compute hosts members of the aggregate that shared providers serve."""
        for one in computes.values():
            if self._joined.get(one.uuid) == one.generation:
                continue
            aggregates, generation = self._client.aggregates(one.uuid)
            try:
                if names.AGGREGATE not in aggregates:
                    generation = self._client.apply(one.uuid, generation, join(aggregates))
                self._joined[one.uuid] = generation
            except errors.Conflict as conflict:
                LOG.debug('%s', conflict.detail)  # Nova was faster: the next time

    def _is_right(self, identifier: str, wanted: Provider | None, listed: Listed | None) -> bool:
        known = self._known.get(identifier)
        return known is not None and listed is not None and known.wanted == wanted \
            and known.generation == listed.generation and time.monotonic() < known.until

    def _settle(self, identifier: str, wanted: Provider | None) -> None:
        """Read a provider and make it what it should be, as often as somebody else is faster.

        :raises Conflict: somebody else was faster every time, or something stands in the way
        """
        goal = wanted and dataclasses.replace(wanted, traits=self._client.existing(wanted.traits))
        for attempt in range(1, ATTEMPTS + 1):
            found = self._client.read(identifier)
            steps = difference(goal, found)
            try:
                generation = self._apply(identifier, found, steps)
            except errors.Conflict:
                if attempt == ATTEMPTS:
                    raise
                continue
            break
        if wanted is not None:
            self._known[identifier] = _Known(wanted, generation, time.monotonic() + FRESH)

    def _apply(self, identifier: str, found: Found | None, steps: Iterable[Step]) -> int:
        generation = found.generation if found is not None else 0
        for step in steps:
            LOG.log(logging.DEBUG if step.verb == Verb.INVENTORIES else logging.INFO,
                    'Placement: %s of provider %s', step.verb, identifier)
            generation = self._client.apply(identifier, generation, step)
        return generation


def loop(host: str) -> Loop | None:
    """Return the loop of a scheduler; None when no Placement is configured."""
    if not ksa.configured('placement'):
        return None
    conf = cfg.CONF
    sync = Sync(Client(ksa.adapter('placement', MICROVERSION)), host, conf.scheduler.down_after,
                conf.placement.local_pools)
    return Loop('inventory in Placement', conf.placement.interval, sync.run)
