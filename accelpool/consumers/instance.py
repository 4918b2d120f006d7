# SPDX-License-Identifier: Apache-2.0
"""Binding accelerator requests to instances, and giving everything of an instance back.

A metered slice is usable when its claim commits: its conductor hears of it soon and carves it, unless the instance has
given it back by then.  Everything else is carved first, and Nova is told when that has ended (:mod:`.nova`).
"""

import dataclasses
import functools
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from oslo_config import cfg
from sqlalchemy import orm

from accelpool import errors, ksa, types
from accelpool.allocations.states import Event
from accelpool.db import allocation as db_allocation
from accelpool.db import arq as db_arq
from accelpool.db import host as db_host
from accelpool.db import models
from accelpool.db import session as db_session
from accelpool.db import slice as db_slice
from accelpool.placement import providers
from accelpool.quota import keystone
from accelpool.quota.amounts import UNSAID, Limits
from accelpool.rpc import client, later
from accelpool.scheduler import claim

#: Seconds for which a binding that finds nothing free waits, and looks again every so many, while something is being
#: given back: Placement counts a slice as free when its instance is gone, which is before its sessions have ended.
LEAVING, LOOK = 10.0, 0.1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Binding:
    """Where Nova wants an accelerator request; ``project_id`` None: it stays whose it is."""

    hostname: str
    device_rp_uuid: str
    instance_uuid: str
    project_id: str | None = None


@dataclasses.dataclass(frozen=True)
class Claimed:
    """A slice that an accelerator request has got; ``usable`` before it is carved."""

    host: str
    allocation_id: str
    usable: bool


@functools.cache
def _claimer() -> claim.Claimer:
    return claim.Claimer(cfg.CONF.scheduler.down_after)


def bind(bindings: Mapping[str, Binding], visible: str | None) -> None:
    """Claim a slice for each accelerator request: all of them, or none.

    Requests of one instance get distinct devices.

    :param visible: project whose requests these must be; None: any
    :raises NotFound: there is no such request
    :raises InvalidRequest: the instance has requests that are bound already
    :raises NoCandidates: what Placement has promised is not there (any more)
    :raises QuotaExceeded: the project would have more than it may
    """
    given = _limits(bindings) if keystone.asked() else {}
    deadline = time.monotonic() + LEAVING
    while True:
        try:
            claimed = claim.transaction(lambda session, contested: _bind(session, bindings, visible, contested, given))
            break
        except (errors.NoCandidates, errors.ClaimConflict) as failure:
            if time.monotonic() > deadline or not _leaving():
                _remember(bindings, failure.detail)
                raise
            time.sleep(LOOK)
        except errors.QuotaExceeded as failure:
            _remember(bindings, failure.detail)
            raise
    for one in claimed:
        if one.usable:
            _soon().put(one)
        else:
            later.cast(client.ConductorClient(one.host).bind, one.allocation_id)


@functools.cache
def _soon() -> later.Batches[Claimed]:
    return later.Batches(_tell_to_bind)


def _tell_to_bind(claimed: Sequence[Claimed]) -> None:
    """Have conductors carve what instances can use already, unless that has been given back meanwhile."""
    with db_session.reader() as session:
        scheduled = db_allocation.scheduled(session, [one.allocation_id for one in claimed])
    for one in claimed:
        if one.allocation_id in scheduled:
            client.ConductorClient(one.host).bind(one.allocation_id)


def _limits(bindings: Mapping[str, Binding]) -> dict[str, Limits]:
    """Return what Keystone says that the projects may have."""
    with db_session.reader() as session:
        owners = {arq.id: arq.project_id for arq in db_arq.some(session, bindings)}
    projects = {binding.project_id or owners.get(identifier) for identifier, binding in bindings.items()}
    return {project: keystone.limits(project) for project in projects if project is not None}


def _leaving() -> bool:
    with db_session.reader() as session:
        return db_slice.leaving(session)


def _bind(session: orm.Session, bindings: Mapping[str, Binding], visible: str | None,
          contested: set[str], given: Mapping[str, Limits]) -> list[Claimed]:
    """Claim, in one transaction."""
    instances = {binding.instance_uuid for binding in bindings.values()}
    involved = db_arq.involved(session, bindings, instances)
    _check(involved, bindings, visible)
    for arq in involved.values():
        if arq.instance_uuid in instances:
            raise errors.InvalidRequest(
                f"Couldn't apply patch. Reason: Instance {arq.instance_uuid} already has accelerator requests. "
                'Cannot bind additional ARQs.')
    taken: dict[str, set[str]] = {instance: set() for instance in instances}
    claimed = []
    for identifier, binding in bindings.items():
        arq, allocation_id = involved[identifier], models.new_id()
        project = binding.project_id or arq.project_id
        request = _request(arq, binding, _our_name(session, binding.hostname))
        choice = _claimer().choose(
            session, allocation_id, request, contested, frozenset(taken[binding.instance_uuid]))
        (chosen,) = choice.slices
        usable = chosen.isolation == types.Isolation.SHARED
        db_arq.bind(
            session, identifier, state=db_arq.State.BOUND if usable else db_arq.State.BIND_STARTED,
            hostname=binding.hostname, device_rp_uuid=binding.device_rp_uuid, instance_uuid=binding.instance_uuid,
            project_id=project, allocation_id=allocation_id)
        db_allocation.create_claimed(  # last: from here on others wait
            session, request=request, slices=choice.slices, generations=choice.generations, begun=not usable,
            given=given.get(project, UNSAID), **_of_instance(arq, binding, request))
        taken[binding.instance_uuid].add(chosen.device_id)
        claimed.append(Claimed(chosen.host, allocation_id, usable))
    return claimed


#: Hosts that were there once under these names: where Nova uses ours, nobody has to look.
_names: set[str] = set()


def _our_name(session: orm.Session, host: str) -> str:
    """Return our name of one of Nova's hosts, which may be shorter; Nova's where we do not know it."""
    if host in _names:
        return host
    known = db_host.names(session)
    _names.update(known)
    return providers.same_host(host, known) or host


def _request(arq: db_arq.Asked, binding: Binding, host: str) -> types.Request:
    """Return what is asked for: by the profile, and by Placement's choice where Placement knows our devices."""
    return dataclasses.replace(
        types.Request.from_dict(arq.request), consumer_host=host,
        provider=binding.device_rp_uuid if ksa.configured('placement') else None)


def _of_instance(arq: db_arq.Asked, binding: Binding, request: types.Request) -> dict[str, Any]:
    """Return the columns of an accelerator request's allocation that say whose it is."""
    return {'project_id': binding.project_id or arq.project_id, 'user_id': arq.user_id, 'profile': arq.profile,
            'consumer_type': 'instance', 'consumer_id': binding.instance_uuid, 'consumer_host': request.consumer_host}


def _remember(bindings: Mapping[str, Binding], reason: str) -> None:
    """Leave a released allocation with the reason: Nova keeps nothing of our answer but its status."""

    def work(session: orm.Session) -> None:
        for identifier, arq in db_arq.lock(session, bindings).items():
            request = _request(arq, bindings[identifier], bindings[identifier].hostname)
            made = db_allocation.create(
                session, request=request, charge=False, **_of_instance(arq, bindings[identifier], request))
            db_allocation.transition(session, made.id, Event.FAIL, detail=reason)
            db_allocation.release(session, made.id, 'it was never bound')

    db_session.retrying(work)


def unbind(identifiers: Iterable[str], visible: str | None) -> None:
    """Take bindings back.  The requests stay and may be bound again.

    :raises NotFound: there is no such request
    """
    wanted = list(identifiers)

    def work(session: orm.Session) -> dict[str, list[str]]:
        _found(session, wanted, visible)
        return _release(session, db_arq.unbind(session, wanted), 'its accelerator request was unbound')

    _tell(db_session.retrying(work))


def delete(identifiers: Iterable[str], visible: str | None) -> None:
    """Delete accelerator requests; those that are there also when others are not.

    :raises NotFound: some are not there; it names the first
    """
    wanted = list(identifiers)

    def work(session: orm.Session) -> tuple[list[str], dict[str, list[str]]]:
        found = [one.id for one in db_arq.lock(session, wanted).values() if visible in (None, one.project_id)]
        released = _release(session, db_arq.delete(session, found), 'its accelerator request was deleted')
        return [one for one in wanted if one not in found], released

    absent, hosts = db_session.retrying(work)
    _tell(hosts)
    if absent:
        raise db_arq.missing(absent[0])


def delete_of_instance(instance: str) -> int:
    """Give back all that an instance has; nothing happens when it has nothing.  Returns how many slices that were."""

    def work(session: orm.Session) -> tuple[int, dict[str, list[str]]]:
        had = db_arq.delete_of_instance(session, instance)
        return len(had), _release(session, had, f'the instance {instance} is gone')

    count, hosts = db_session.retrying(work)
    _tell(hosts)
    return count


def _found(session: orm.Session, identifiers: Iterable[str], visible: str | None) -> dict[str, db_arq.Asked]:
    wanted = list(identifiers)
    found = db_arq.lock(session, wanted)
    _check(found, wanted, visible)
    return found


def _check(found: Mapping[str, db_arq.Asked], wanted: Iterable[str], visible: str | None) -> None:
    for identifier in wanted:
        if identifier not in found or visible not in (None, found[identifier].project_id):
            raise db_arq.missing(identifier)


def _release(session: orm.Session, allocation_ids: Iterable[str], detail: str) -> dict[str, list[str]]:
    """Begin to release allocations; returns them by the host that must be told."""
    hosts: dict[str, list[str]] = {}
    for allocation_id in allocation_ids:
        if not db_allocation.abandon(session, allocation_id, detail):
            db_allocation.release(session, allocation_id, detail)
            for one in db_slice.of_allocation(session, allocation_id):
                hosts.setdefault(one.host, []).append(allocation_id)
    return hosts


def _tell(hosts: Mapping[str, Iterable[str]]) -> None:
    for host, allocation_ids in hosts.items():
        for allocation_id in allocation_ids:
            later.cast(client.ConductorClient(host).release, allocation_id)
