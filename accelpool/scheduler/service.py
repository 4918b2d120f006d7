# SPDX-License-Identifier: Apache-2.0
"""The scheduler's input and output: reads the devices, asks the pure core, claims, tells the conductors."""

import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from accelpool import errors, types
from accelpool.allocations.states import Event, State
from accelpool.db import allocation as db_allocation
from accelpool.db import quota as db_quota
from accelpool.db import session as db_session
from accelpool.quota import keystone
from accelpool.quota.amounts import UNSAID, Limits
from accelpool.scheduler import claim

LOG = logging.getLogger(__name__)


class Conductor(Protocol):
    """What the scheduler says to a host's conductor (accelpool.rpc.client.ConductorClient)."""

    def bind(self, allocation_id: str) -> None: ...


class SchedulerService:
    """Stateless: run any number.  Its public methods are what the message bus offers."""

    def __init__(self, conductor: Callable[[str], Conductor], down_after: float,
                 observe: Callable[[str, float], None] = lambda _outcome, _seconds: None) -> None:
        """
        :param conductor: gives the client of a host's conductor
        :param down_after: seconds of silence after which a host counts as down
        :param observe: told what came of a request, and after how many seconds
        """
        self._observe = observe
        self._conductor = conductor
        self._claimer = claim.Claimer(down_after)

    def schedule(self, allocation_id: str) -> None:
        """Choose devices for a pending allocation, claim them and have their conductors bind.

        What cannot be placed goes to ``error`` with the reason for every device.  An allocation that is not
        pending (a repeated message) is left alone.
        """
        started = time.monotonic()
        outcome = self._schedule(allocation_id)
        self._observe(outcome, time.monotonic() - started)

    def _schedule(self, allocation_id: str) -> str:
        """Schedule; returns what came of it: ``scheduled``, or why not."""
        try:
            given = self._limits(allocation_id)
            slices = claim.transaction(lambda session, contested: self._claim(session, allocation_id, contested, given))
        except errors.StateConflict as conflict:
            LOG.info('Not scheduled: %s', conflict.detail)
            return 'not-pending'
        except (errors.NoCandidates, errors.ClaimConflict, errors.QuotaExceeded) as nothing:
            self._fail(allocation_id, nothing.detail)
            return nothing.code
        for host in dict.fromkeys(found.host for found in slices):
            self._conductor(host).bind(allocation_id)
        return 'scheduled'

    def candidates(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the devices for a request, best first, and the reason for every other: a dry run."""
        wanted = types.Request.from_dict(request)
        with db_session.reader() as session:
            verdict = self._claimer.judge(session, wanted)
        return {'candidates': [c.to_dict() for c in verdict.fitting],
                'rejections': [r.to_dict() for r in verdict.rejections]}

    def _limits(self, allocation_id: str) -> Limits:
        """Read what Keystone says before the claim's transaction begins.

        :raises StateConflict: there is no such allocation any more
        """
        if not keystone.asked():
            return UNSAID
        try:
            with db_session.reader() as session:
                return keystone.limits(db_quota.account(session, allocation_id).project_id)
        except errors.NotFound as gone:
            raise errors.StateConflict(gone.detail) from gone

    def _claim(self, session: Any, allocation_id: str, contested: set[str], given: Limits) -> tuple[types.Slice, ...]:
        asked = db_allocation.asked(session, allocation_id)
        if asked is None:
            raise errors.StateConflict(f'Allocation {allocation_id} is not pending')
        return self._claimer.claim(session, allocation_id, types.Request.from_dict(asked), contested, given=given)

    def _fail(self, allocation_id: str, reason: str) -> None:
        def fail(session: Any) -> None:
            db_allocation.transition(
                session, allocation_id, Event.FAIL, expected=[State.PENDING], detail=reason)
        try:
            db_session.retrying(fail)
        except errors.StateConflict as conflict:
            LOG.info('Not failed: %s', conflict.detail)
