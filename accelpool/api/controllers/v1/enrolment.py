# SPDX-License-Identifier: Apache-2.0
"""``/v1/enrolments``: guests that have a token or a key in place of an account, and
``/v1/allocations/{id}/enrolments``: tokens for them."""

import datetime
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from oslo_config import cfg
from oslo_log import log

from accelpool import errors, policy
from accelpool.allocations import states
from accelpool.api import collection, microversions, ownership, resource, throttle, ways
from accelpool.api.controllers.v1 import attachment
from accelpool.api.schemas.v1 import enrolment as schemas
from accelpool.db import allocation as db_allocation
from accelpool.db import enrolment as db_enrolment
from accelpool.db import event as db_event
from accelpool.db import models
from accelpool.db import session as db
from accelpool.policy import allocation as rules
from accelpool.rpc import client

LOG = log.getLogger(__name__)

#: Header with the key of an enrolled guest.
KEY = 'X-Enrolment-Key'
#: Failed attempts that one address has in a minute.  A token has 256 random bits: this is for the log and the database.
FAILURES, PERIOD = 20, 60

_throttle = throttle.Throttle(FAILURES, PERIOD)


def _since(call: resource.Call) -> None:
    if call.version < microversions.ENROLMENT:
        raise errors.NotFound(f'Enrolments are known from version {microversions.ENROLMENT} of the API on')


@contextmanager
def _attempt(call: resource.Call) -> Iterator[None]:
    """Count what is refused, by the address that it came from."""
    address = call.request.remote_addr or ''
    _throttle.check(address)
    try:
        yield
    except errors.Forbidden:
        _throttle.failed(address)
        LOG.warning('An enrolment was refused to %s', address)
        raise


class IssueController(resource.Resource):
    """Tokens, for the members of the project that has the allocation: shown once, never again."""

    @resource.endpoint(body=schemas.ISSUE, response=schemas.ISSUED, status=201)
    def post(self, call: resource.Call, allocation_id: str) -> resource.Answer:
        """Give out a single-use token with which the allocation's consumer enrols itself."""
        _since(call)
        lifetime = datetime.timedelta(seconds=call.body.get('lifetime', cfg.CONF.enrolment.token_lifetime))
        with db.writer() as session:
            found = ownership.own(session, call.context, allocation_id)
            policy.authorize(call.context, rules.ENROL, {'project_id': found.project_id})
            if found.consumer_id is None:
                raise errors.Conflict(f'Allocation {allocation_id} has no consumer_id: a token is for one consumer')
            if found.state not in states.LIVE:
                raise errors.StateConflict(f'Allocation {allocation_id} is {found.state}')
            token, row = db_enrolment.issue(
                session, project_id=found.project_id, consumer_type=found.consumer_type,
                consumer_id=found.consumer_id, lifetime=lifetime)
            db_event.add(session, found.id, 'enrolment-token', detail=f'by user {call.context.user_id}')
        return resource.Answer(
            {'token': token, 'consumer_type': row.consumer_type, 'consumer_id': row.consumer_id,
             'url': cfg.CONF.enrolment.url, 'expires_at': collection.time(row.expires_at)},
            headers={'Cache-Control': 'no-store'})


class GuestAttachmentController(resource.Resource):
    """What the enrolled guest has now; nobody else's key opens it."""

    @resource.endpoint(response=schemas.STANDING)
    def get_all(self, call: resource.Call, enrolment_id: str) -> resource.Answer:
        """Show the attachment of all that the guest's consumer has."""
        _since(call)
        with _attempt(call), db.writer() as session:
            row = db_enrolment.proven(session, enrolment_id, call.request.headers.get(KEY, ''))
            found = db_enrolment.allocations(session, row)
            active = [one for one in found if one.state == states.State.ACTIVE]
            db_allocation.touch(session, [one.id for one in active])
        return resource.Answer(
            {
                'attachment': _together(active) if active else None,
                'allocations': [{'id': one.id, 'name': one.name, 'profile': one.profile, 'state': one.state,
                                 'reason': one.reason} for one in found],
                'renew': cfg.CONF.enrolment.renewal,
            },
            headers={'Cache-Control': 'no-store'})


def _together(active: list[models.Allocation]) -> dict[str, Any]:
    """Return one attachment for several allocations; their devices follow one another."""
    devices = [entry for one in active for entry in _devices(one)]
    return {
        'version': attachment.VERSION, 'technique': active[0].request['technique'], 'allocation': active[0].id,
        'devices': [{**entry, 'ordinal': ordinal} for ordinal, entry in enumerate(devices)], 'holder': None,
    }


def _devices(one: models.Allocation) -> list[dict[str, Any]]:
    """Return an allocation's devices, by the shortest way: a guest does not see the agent of the host that it is on."""
    found = [
        {**entry, 'urls': ways.on_network(entry['urls'], one.request.get('data_network'), host)}
        for host in sorted({item.host for item in one.slices})
        for entry in client.ConductorClient(host).attach(one.id)]
    return sorted(found, key=lambda entry: int(entry['ordinal']))


class EnrolmentsController(resource.Resource):
    """Public: whoever has a token or a key proves with it who they are."""

    children: ClassVar[Mapping[str, resource.Resource]] = {'attachment': GuestAttachmentController()}

    @resource.endpoint(body=schemas.EXCHANGE, response=schemas.ENROLLED, status=201)
    def post(self, call: resource.Call) -> dict[str, Any]:
        """Exchange a single-use token; from then on the guest is known by the key whose digest it sends."""
        _since(call)
        with _attempt(call), db.writer() as session:
            row = db_enrolment.exchange(
                session, call.body['token'], call.body['consumer_id'], call.body['key_digest'],
                datetime.timedelta(seconds=cfg.CONF.enrolment.lapse))
            for one in db_enrolment.allocations(session, row):
                db_event.add(session, one.id, 'enrolled', detail=f'from {call.request.remote_addr}')
        return {'id': row.id, 'consumer_type': row.consumer_type, 'consumer_id': row.consumer_id,
                'renew': cfg.CONF.enrolment.renewal}
