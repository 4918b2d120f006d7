# SPDX-License-Identifier: Apache-2.0
"""``/v2/accelerator_requests``: how Nova asks for the accelerators of an instance."""

import dataclasses
from typing import Any

from sqlalchemy import orm

from accelpool import errors, policy, types
from accelpool.api import cyborg, demand, groups, resource
from accelpool.api.schemas.v2 import accelerator_request as schemas
from accelpool.consumers import instance as instances
from accelpool.db import arq as db_arq
from accelpool.db import profile as db_profile
from accelpool.db import session as db
from accelpool.placement import providers
from accelpool.policy import arq as rules

NOUN = 'accelerator_requests'

#: Answer where not all of an instance's requests are resolved and only these were asked for.
LOCKED = 423
#: States that Nova takes for an end.
RESOLVED = (db_arq.State.BOUND, db_arq.State.BIND_FAILED)


def show(call: resource.Call, arq: db_arq.View) -> dict[str, Any]:
    state = arq.shown_state()
    kind, uuid, info = _handle(arq) if state == db_arq.State.BOUND else ('', None, {})
    return {
        'uuid': arq.id, 'state': state, 'device_profile_name': arq.profile, 'device_profile_group_id': arq.group_id,
        'hostname': arq.hostname, 'device_rp_uuid': arq.device_rp_uuid, 'instance_uuid': arq.instance_uuid,
        'project_id': arq.project_id,
        'attach_handle_type': kind, 'attach_handle_uuid': uuid, 'attach_handle_info': info,
        'links': cyborg.links(call.url, NOUN, arq.id),
        'created_at': cyborg.time(arq.created_at), 'updated_at': cyborg.time(arq.updated_at),
    }


def _handle(arq: db_arq.View) -> tuple[str, str | None, dict[str, Any]]:
    """Return type, uuid and fields of the attach handle.

    Nova's libvirt driver gives the guest what is ``PCI`` or ``MDEV`` and ignores every other type: a ``REMOTE`` slice
    is reached through an agent, and the guest learns of it from its vendor data.
    """
    if arq.handle is not None and providers.same_host(str(arq.hostname), [str(arq.host)]):
        return arq.handle['type'], arq.handle['uuid'] or arq.slice_id, arq.handle['info']
    return 'REMOTE', arq.slice_id, {'allocation': arq.allocation_id, 'host': arq.host}


def _visible(call: resource.Call) -> str | None:
    """Return the project whose requests the caller sees; None: everybody's."""
    return None if policy.allows(call.context, rules.ALL_PROJECTS) else call.context.project_id


def _need_service(call: resource.Call) -> None:
    if not policy.allows(call.context, rules.SERVICE):
        raise errors.Forbidden('This operation requires a service token. '
                               'Use the Compute API to manage instance accelerators.')


def _requests(session: orm.Session, profile: db_profile.Listed) -> list[tuple[int, types.Request]]:
    """Return what each accelerator request of a profile asks for, with the number of its group."""
    if profile.groups is not None:
        return groups.requests(session, profile.groups)
    request = dataclasses.replace(demand.of_profile(profile), count=1)
    return [(number, request) for number in range(profile.count)]


class AcceleratorRequestsController(resource.Resource):
    """The collection and its items."""

    @resource.endpoint(query=schemas.LIST_QUERY, response=schemas.LIST)
    def get_all(self, call: resource.Call) -> resource.Answer:
        policy.authorize(call.context, rules.LIST)
        visible = _visible(call)
        with db.reader() as session:
            if 'instance' in call.query:
                found = [one for one in db_arq.of_instance(session, call.query['instance'])
                         if visible in (None, one.project_id)]
            else:
                found = db_arq.list_page(
                    session, project_id=visible, marker=call.query.get('marker'), limit=call.query.get('limit'))
        if 'bind_state' in call.query:
            resolved = [one for one in found if one.shown_state() in RESOLVED]
            if 'instance' in call.query and len(resolved) < len(found):
                return resource.Answer(None, status=LOCKED)
            found = resolved
        return resource.Answer({'arqs': [show(call, one) for one in found]})

    @resource.endpoint(response=schemas.ARQ)
    def get_one(self, call: resource.Call, arq_id: str) -> dict[str, Any]:
        policy.authorize(call.context, rules.SHOW)
        with db.reader() as session:
            return show(call, db_arq.show(session, arq_id, _visible(call)))

    @resource.endpoint(body=schemas.CREATE, response=schemas.LIST, status=201)
    def post(self, call: resource.Call) -> dict[str, Any]:
        """Create the requests of a device profile: nothing is claimed yet."""
        policy.authorize(call.context, rules.CREATE)
        with db.writer() as session:
            profile = db_profile.named(session, call.body['device_profile_name'])
            made = db_arq.create(
                session, _requests(session, profile), profile=profile.name,
                project_id=str(call.context.project_id), user_id=call.context.user_id)
        return {'arqs': [show(call, one) for one in made]}

    @resource.endpoint(body=schemas.PATCH, status=202)
    def patch_all(self, call: resource.Call) -> None:
        """Bind requests to an instance, or take that back."""
        self._patch(call)

    def _patch(self, call: resource.Call) -> None:
        policy.authorize(call.context, rules.UPDATE)
        _need_service(call)
        operations = {step['op'] for steps in call.body.values() for step in steps}
        if len(operations) > 1:
            raise _refused('Every op must be add or remove')
        if operations == {'remove'}:
            instances.unbind(call.body, _visible(call))
        else:
            instances.bind({arq: self._binding(call, steps) for arq, steps in call.body.items()}, _visible(call))

    def _binding(self, call: resource.Call, steps: list[dict[str, Any]]) -> instances.Binding:
        values = {step['path'].lstrip('/'): step.get('value') for step in steps}
        if 'project_id' in values:
            cyborg.need(call.version, cyborg.PROJECT_ID)
            policy.authorize(call.context, rules.ALL_PROJECTS)
        absent = [name for name in schemas.FIELDS if not values.get(name)]
        if absent:
            raise _refused(f'Fields absent in patch {",".join(absent)}')
        for name in ('device_rp_uuid', 'instance_uuid'):
            if not schemas.is_uuid(str(values[name])):
                raise _refused(f'{name} must be a UUID')
        return instances.Binding(
            hostname=str(values['hostname']), device_rp_uuid=str(values['device_rp_uuid']),
            instance_uuid=str(values['instance_uuid']), project_id=values.get('project_id'))

    @resource.endpoint(body=schemas.PATCH, status=202)
    def patch(self, call: resource.Call, arq_id: str) -> None:
        """The same for one request, which is where openstacksdk sends it."""
        if set(call.body) != {arq_id}:
            raise _refused(f'The patch must be of {arq_id} alone')
        self._patch(call)

    @resource.endpoint(query=schemas.DELETE_QUERY, status=204)
    def delete_all(self, call: resource.Call) -> None:
        """Delete some requests, or all of an instance; the latter never fails."""
        policy.authorize(call.context, rules.DELETE)
        if 'instance' in call.query:
            _need_service(call)
            instances.delete_of_instance(call.query['instance'])
            return
        self._delete(call, call.query['arqs'].split(','))

    @resource.endpoint(status=204)
    def delete(self, call: resource.Call, arq_id: str) -> None:
        """Delete one request, which is how openstacksdk does it."""
        policy.authorize(call.context, rules.DELETE)
        self._delete(call, [arq_id])

    def _delete(self, call: resource.Call, wanted: list[str]) -> None:
        visible = _visible(call)
        with db.reader() as session:
            bound = [one for one in db_arq.some(session, wanted)
                     if one.instance_uuid is not None and visible in (None, one.project_id)]
        if bound and not policy.allows(call.context, rules.SERVICE):
            raise errors.Forbidden(
                f'ARQ {bound[0].id} is bound to instance {bound[0].instance_uuid}. '
                'Use the Compute API to manage instance accelerators.')
        instances.delete(wanted, visible)


def _refused(reason: str) -> errors.InvalidRequest:
    """In Cyborg's words."""
    return errors.InvalidRequest(f"Couldn't apply patch. Reason: {reason}")
