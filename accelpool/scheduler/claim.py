# SPDX-License-Identifier: Apache-2.0
"""Choosing devices for a request and claiming them, inside the caller's transaction.

The scheduler does it for allocations that were asked for; the API does it itself where a caller must have the answer
at once (Nova's binding).  Any number of processes may: the database refuses what others have changed meanwhile.
"""

import dataclasses
import datetime
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import orm
from stevedore import extension

from accelpool import errors, types
from accelpool.db import allocation as db_allocation
from accelpool.db import candidate as db_candidate
from accelpool.db import device as db_device
from accelpool.db import models
from accelpool.db import session as db_session
from accelpool.quota.amounts import UNSAID, Limits
from accelpool.scheduler import filters, placement, weighers

T = TypeVar('T')

#: How often a claim is decided anew after somebody else was faster.
ATTEMPTS = 30
#: Devices of which a claim reads every one: above that it looks at the best few first.
MANY, FEW = 256, 64


@dataclasses.dataclass(frozen=True)
class Choice:
    """What was decided, and on which generation of each device; None where only its free shares matter."""

    slices: tuple[types.Slice, ...]
    generations: Mapping[str, int | None]


class Claimer:
    """Reads the devices, asks the pure core, claims."""

    def __init__(self, down_after: float) -> None:
        """:param down_after: seconds of silence after which a host counts as down"""
        self._down_after = datetime.timedelta(seconds=down_after)
        self._filters = filters.DEFAULT | _plugins('accelpool.scheduler.filters')
        self._weighers = weighers.DEFAULT | _plugins('accelpool.scheduler.weighers')
        #: The database knows no other order than that of our own weigher.
        self._plain = self._weighers == weighers.DEFAULT
        self._many = False

    def judge(self, session: orm.Session, request: types.Request) -> placement.Verdict:
        """Return what fits a request, best first, and why the rest does not."""
        return self._judge(request, db_candidate.look(session, self._up_since()))

    def choose(self, session: orm.Session, allocation_id: str, request: types.Request, contested: set[str],
               others: frozenset[str] = frozenset()) -> Choice:
        """Decide which slices an allocation gets.

        :param contested: devices that others cannot change from now on; the chosen ones are added
        :param others: devices that are not wanted, because the same consumer has a slice of them already
        :raises NoCandidates: with the reason for every device
        """
        if contested:
            db_device.lock(session, contested)
        verdict = self._first_look(session, request)
        slices = placement.place(request, allocation_id, verdict.without(others)) if verdict else None
        if verdict is None or slices is None:
            verdict = self.judge(session, request).without(others)
            self._many = len(verdict.fitting) + len(verdict.rejections) > MANY
            slices = placement.place(request, allocation_id, verdict)
        if slices is None:
            raise errors.NoCandidates(placement.explain(request, verdict))
        chosen = {candidate.device_id: candidate for candidate in verdict.fitting}
        generations = {wanted.device_id: None if placement.only_shares(chosen[wanted.device_id], wanted)
                       else chosen[wanted.device_id].generation for wanted in slices}
        contested.update(generations)
        return Choice(slices, generations)

    def claim(self, session: orm.Session, allocation_id: str, request: types.Request, contested: set[str],
              given: Limits = UNSAID) -> tuple[types.Slice, ...]:
        """Claim devices for a pending allocation.

        :param contested: as for :meth:`choose`
        :param given: limits of the project that Keystone has, read before
        :raises QuotaExceeded: the devices are more than the project may have
        :raises NoCandidates: with the reason for every device
        :raises ClaimConflict: a chosen device has changed meanwhile
        :raises StateConflict: the allocation is not pending any more
        """
        choice = self.choose(session, allocation_id, request, contested)
        db_allocation.claim(session, allocation_id, choice.slices, choice.generations, given)
        return choice.slices

    def _first_look(self, session: orm.Session, request: types.Request) -> placement.Verdict | None:
        """Judge only the devices that the database finds best, where there are many; what fits is what fits best."""
        if not self._many or not self._plain or request.isolation != types.Isolation.SHARED \
                or request.memory is None or request.template is not None or request.locality == types.Locality.FABRIC:
            return None
        best = db_candidate.best(session, request, max(FEW, 2 * request.count))
        return self._judge(request, db_candidate.look(session, self._up_since(), best))

    def _judge(self, request: types.Request, candidates: Sequence[types.Candidate]) -> placement.Verdict:
        return placement.judge(request, candidates, self._filters, self._weighers)

    def _up_since(self) -> datetime.datetime:
        return models.utcnow() - self._down_after


def transaction(work: Callable[[orm.Session, set[str]], T]) -> T:
    """Run ``work`` in a transaction, again in a new one whenever a claim in it was too late.

    :param work: is given the devices for which it was too late before, as :meth:`Claimer.choose` wants them
    :raises ClaimConflict: it was too late too often
    """
    contested: set[str] = set()
    for attempt in range(ATTEMPTS):
        try:
            return db_session.retrying(lambda session: work(session, contested))
        except errors.ClaimConflict:
            time.sleep(random.uniform(0, 0.002 * (attempt + 1)))
    raise errors.ClaimConflict(f'the pool changed {ATTEMPTS} times while a device was chosen; try again')


def _plugins(namespace: str) -> dict[str, Any]:
    manager: extension.ExtensionManager[Any] = extension.ExtensionManager(namespace)
    return {found.name: found.plugin for found in manager}
