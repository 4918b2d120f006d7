# SPDX-License-Identifier: Apache-2.0
"""The scheduler's input and output: reads the devices, asks the pure core, claims, tells the conductors."""

import datetime
import logging
import random
import time
from collections.abc import Callable
from typing import Any, Protocol

from stevedore import extension

from accelpool import errors, types
from accelpool.allocations.states import Event, State
from accelpool.db import allocation as db_allocation
from accelpool.db import device as db_device
from accelpool.db import models
from accelpool.db import partition as db_partition
from accelpool.db import session as db_session
from accelpool.scheduler import filters, placement, weighers

LOG = logging.getLogger(__name__)

#: How often a claim is decided anew after somebody else was faster.
ATTEMPTS = 30


class Conductor(Protocol):
    """What the scheduler says to a host's conductor (accelpool.rpc.client.ConductorClient)."""

    def bind(self, allocation_id: str) -> None: ...


class SchedulerService:
    """Stateless: run any number.  Its public methods are what the message bus offers."""

    def __init__(self, conductor: Callable[[str], Conductor], down_after: float) -> None:
        """
        :param conductor: gives the client of a host's conductor
        :param down_after: seconds of silence after which a host counts as down
        """
        self._conductor = conductor
        self._down_after = datetime.timedelta(seconds=down_after)
        self._filters = filters.DEFAULT | _plugins('accelpool.scheduler.filters')
        self._weighers = weighers.DEFAULT | _plugins('accelpool.scheduler.weighers')

    def schedule(self, allocation_id: str) -> None:
        """Choose devices for a pending allocation, claim them and have their conductors bind.

        What cannot be placed goes to ``error`` with the reason for every device.  An allocation that is not
        pending (a repeated message) is left alone.
        """
        contested: set[str] = set()
        for attempt in range(ATTEMPTS):
            try:
                slices = db_session.retrying(lambda session: self._claim(session, allocation_id, contested))
                break
            except errors.ClaimConflict:
                time.sleep(random.uniform(0, 0.002 * (attempt + 1)))
            except errors.StateConflict as conflict:
                LOG.info('Not scheduled: %s', conflict.detail)
                return
            except errors.NoCandidates as nothing:
                self._fail(allocation_id, nothing.detail)
                return
        else:
            self._fail(allocation_id, f'the pool changed {ATTEMPTS} times while a device was chosen; try again')
            return
        for host in dict.fromkeys(found.host for found in slices):
            self._conductor(host).bind(allocation_id)

    def candidates(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the devices for a request, best first, and the reason for every other: a dry run."""
        wanted = types.Request.from_dict(request)
        with db_session.reader() as session:
            verdict = self._judge(session, wanted)
        return {'candidates': [c.to_dict() for c in verdict.fitting],
                'rejections': [r.to_dict() for r in verdict.rejections]}

    def _judge(self, session: Any, request: types.Request) -> placement.Verdict:
        found = db_device.candidates(session, models.utcnow() - self._down_after)
        return placement.judge(request, db_partition.complete(session, found), self._filters, self._weighers)

    def _claim(self, session: Any, allocation_id: str, contested: set[str]) -> tuple[types.Slice, ...]:
        """Decide and claim; the devices are added to ``contested``, where others cannot change them the next time."""
        asked = db_allocation.asked(session, allocation_id)
        if asked is None:
            raise errors.StateConflict(f'Allocation {allocation_id} is not pending')
        request = types.Request.from_dict(asked)
        if contested:
            db_device.lock(session, contested)
        verdict = self._judge(session, request)
        slices = placement.place(request, allocation_id, verdict)
        if slices is None:
            raise errors.NoCandidates(placement.explain(request, verdict))
        contested.update(wanted.device_id for wanted in slices)
        generations = {c.device_id: c.generation for c in verdict.fitting}
        db_allocation.claim(session, allocation_id, slices, generations)
        return slices

    def _fail(self, allocation_id: str, reason: str) -> None:
        def fail(session: Any) -> None:
            db_allocation.transition(
                session, allocation_id, Event.FAIL, expected=[State.PENDING], detail=reason)
        try:
            db_session.retrying(fail)
        except errors.StateConflict as conflict:
            LOG.info('Not failed: %s', conflict.detail)


def _plugins(namespace: str) -> dict[str, Any]:
    manager: extension.ExtensionManager[Any] = extension.ExtensionManager(namespace)
    return {found.name: found.plugin for found in manager}
