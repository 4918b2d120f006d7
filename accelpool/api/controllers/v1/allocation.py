# SPDX-License-Identifier: Apache-2.0
"""``/v1/allocations``"""

from collections.abc import Mapping
from typing import Any, ClassVar

from sqlalchemy import orm

from accelpool import errors, policy, types
from accelpool.allocations.states import State
from accelpool.api import collection, demand, microversions, ownership, resource, waiting
from accelpool.api.controllers.v1 import attachment, enrolment, event, usage
from accelpool.api.schemas.v1 import allocation as schemas
from accelpool.api.schemas.v1 import shape
from accelpool.db import allocation as db_allocation
from accelpool.db import arq as db_arq
from accelpool.db import models
from accelpool.db import session as db
from accelpool.policy import allocation as rules
from accelpool.quota import keystone
from accelpool.rpc import client, later

#: Columns that a body sets directly.
_COLUMNS = ('name', 'profile', 'consumer_type', 'consumer_id', 'consumer_host', 'ttl')


def show(allocation: models.Allocation) -> dict[str, Any]:
    return {
        'id': allocation.id, 'name': allocation.name,
        'project_id': allocation.project_id, 'user_id': allocation.user_id,
        'state': allocation.state, 'reason': allocation.reason,
        'profile': allocation.profile,
        'request': {name: allocation.request.get(name) for name in shape.SHOWN},
        'slices': [usage.show_slice(item) for item in allocation.slices],
        'consumer_type': allocation.consumer_type, 'consumer_id': allocation.consumer_id,
        'consumer_host': allocation.consumer_host, 'ttl': allocation.ttl,
        'expires_at': collection.time(allocation.expires_at),
        'created_at': collection.time(allocation.created_at),
        'updated_at': collection.time(allocation.updated_at),
    }


class AllocationsController(resource.Resource):
    """The collection and its items."""

    children: ClassVar[Mapping[str, resource.Resource]] = {
        'attachment': attachment.AttachmentController(),
        'enrolments': enrolment.IssueController(),
        'events': event.EventsController(),
        'usage': usage.UsageController(),
    }

    @resource.endpoint(query=schemas.LIST_QUERY, response=schemas.LIST)
    def get_all(self, call: resource.Call) -> dict[str, Any]:
        policy.authorize(call.context, rules.LIST)
        # A token of the system belongs to no project: without another word it asks for all of them.
        unscoped = call.context.project_id is None and 'project_id' not in call.query
        everybody = call.query.pop('all_projects', False) or unscoped
        project = call.query.setdefault('project_id', call.context.project_id)
        if everybody or project != call.context.project_id:
            policy.authorize(call.context, rules.ALL_PROJECTS)
        if everybody:
            del call.query['project_id']
        with db.reader() as session:
            self._check_marker(session, call)
            return collection.page(
                call, 'allocations', lambda **page: db_allocation.list_page(session, **page), show)

    def _check_marker(self, session: orm.Session, call: resource.Call) -> None:
        """A marker in somebody else's project does not exist either."""
        if 'marker' in call.query:
            marker = call.query['marker']
            try:
                ownership.visible(session, call.context, marker)
            except errors.NotFound as failure:
                raise errors.InvalidRequest(f'The marker {marker} does not exist', field='marker') from failure

    @resource.endpoint(response=schemas.SHOW)
    def get_one(self, call: resource.Call, allocation_id: str) -> resource.Answer:
        """Show.  With ``Prefer: wait=N`` the answer waits until the allocation has settled."""
        shown = self._show(call, allocation_id)
        headers: Mapping[str, str] = {}
        if waiting.wanted(call) and shown['state'] not in waiting.SETTLED:
            headers = waiting.until(call, allocation_id)
            shown = self._show(call, allocation_id)
        return resource.Answer(shown, headers=headers)

    def _show(self, call: resource.Call, allocation_id: str) -> dict[str, Any]:
        with db.reader() as session:
            found = ownership.visible(session, call.context, allocation_id)
            policy.authorize(call.context, rules.SHOW, {'project_id': found.project_id})
            return show(found)

    @resource.endpoint(body=schemas.CREATE, response=schemas.SHOW, status=202)
    def post(self, call: resource.Call) -> resource.Answer:
        """Ask for slices.  With an ``id`` of the caller's, asking again is answered with what there is."""
        policy.authorize(call.context, rules.CREATE)
        with db.reader() as session:
            request = demand.resolve(session, call.body)
        values = {name: call.body[name] for name in (*_COLUMNS, 'id') if name in call.body}
        values |= {'project_id': call.context.project_id, 'user_id': call.context.user_id}
        try:
            given = keystone.limits(values['project_id'])
            shown = db.retrying(
                lambda session: show(db_allocation.create(session, request=request, given=given, **values)))
        except errors.Conflict as taken:
            return resource.Answer(self._same(call, request, taken), status=200)
        waited = waiting.until(call, shown['id'], now=State.PENDING,
                               begin=lambda: later.now(client.SchedulerClient().schedule, shown['id']))
        headers = {'Location': f'{call.request.path_url}/{shown["id"]}', **waited}
        if 'Preference-Applied' in headers:
            with db.reader() as session:
                shown = show(db_allocation.get(session, shown['id']))
        return resource.Answer(shown, headers=headers)

    def _same(self, call: resource.Call, request: types.Request, taken: errors.Conflict) -> dict[str, Any]:
        """Return the allocation that has the id, if this is what was asked for then."""
        with db.reader() as session:
            found = db_allocation.get(session, call.body['id'])
            asked = {name: call.body.get(name) for name in _COLUMNS}
            asked['consumer_type'] = asked['consumer_type'] or 'process'
            if (found.project_id == call.context.project_id
                    and types.Request.from_dict(found.request) == request
                    and all(getattr(found, name) == value for name, value in asked.items())):
                return show(found)
        raise errors.Conflict(
            f'There is another allocation {call.body["id"]}; ask under a new id', field='id') from taken

    @resource.endpoint(body=schemas.UPDATE, response=schemas.SHOW)
    def patch(self, call: resource.Call, allocation_id: str) -> dict[str, Any]:
        """Extend: the time to live starts again now."""
        def extend(session: orm.Session) -> dict[str, Any]:
            found = ownership.visible(session, call.context, allocation_id)
            policy.authorize(call.context, rules.EXTEND, {'project_id': found.project_id})
            db_allocation.extend(session, found.id, call.body['ttl'])
            session.refresh(found)
            return show(found)

        return db.retrying(extend)

    @resource.endpoint(status=202)
    def delete(self, call: resource.Call, allocation_id: str) -> resource.Answer:
        """Release; asking twice is no error."""
        def release(session: orm.Session) -> tuple[State, list[str]]:
            found = ownership.visible(session, call.context, allocation_id)
            policy.authorize(call.context, rules.DELETE, {'project_id': found.project_id})
            if (found.consumer_type == 'instance' and db_arq.of_allocation(session, found.id)
                    and not policy.allows(call.context, rules.ALL_PROJECTS)):
                raise errors.Conflict(
                    f'Allocation {allocation_id} belongs to the instance {found.consumer_id}: delete that')
            state = db_allocation.release(session, found.id, detail=f'by user {call.context.user_id}')
            return state, sorted({item.host for item in found.slices})

        state, hosts = db.retrying(release)

        def tell() -> None:
            for host in hosts:
                later.now(client.ConductorClient(host).release, allocation_id)

        headers = waiting.until(call, allocation_id, {State.RELEASED}, now=state, begin=tell)
        if headers:
            with db.reader() as session:
                state = db_allocation.state(session, allocation_id)
        done = state == State.RELEASED and call.version >= microversions.PREFER_WAIT
        return resource.Answer(None, status=204 if done else 202, headers=headers)
