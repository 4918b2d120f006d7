# SPDX-License-Identifier: Apache-2.0
"""``/v2/devices`` and ``/v2/deployables``."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from sqlalchemy import orm

from accelpool import errors, policy
from accelpool.api import cyborg, inventory, resource
from accelpool.api.schemas.v2 import inventory as schemas
from accelpool.db import attribute as db_attribute
from accelpool.db import device as db_device
from accelpool.db import models
from accelpool.db import session as db
from accelpool.policy import inventory as rules


def _show(call: resource.Call, device: db_device.Listed) -> dict[str, Any]:
    return inventory.show_device(
        call.url, device, status=call.version >= cyborg.DEVICE_STATUS)


def _identify(session: orm.Session, uuid: str) -> str:
    """Return the identifier of the device of a UUID.

    :raises NotFound:
    """
    found = _known(session, uuid, inventory.device_uuid)
    if found is None:
        raise errors.NotFound(f'Device not found with uuid={uuid}')
    return found


def _known(session: orm.Session, identifier: str, *shown: Callable[[str], str]) -> str | None:
    """Return the identifier of the device that is shown as this one; most are shown as what they are."""
    wanted = identifier.lower()
    if session.get(models.Device, wanted) is not None:
        return wanted
    return next((known for known in db_device.ids(session) if wanted in {show(known) for show in shown}), None)


class _Switch(resource.Resource):
    """``POST /v2/devices/{id}/enable`` and ``/disable``."""

    enabled: bool

    @resource.endpoint(status=204)
    def post(self, call: resource.Call, device_id: str) -> resource.Answer:
        policy.authorize(call.context, rules.UPDATE)
        with db.writer() as session:
            reason = None if self.enabled else f'disabled by {call.context.user_id}'
            device = db_device.get(session, _identify(session, device_id))
            db_device.update(session, device, enabled=self.enabled, disabled_reason=reason)
        return resource.Answer(None)


class EnableController(_Switch):
    enabled = True


class DisableController(_Switch):
    enabled = False


class DevicesController(resource.Resource):
    """The collection and its items."""

    children: ClassVar[Mapping[str, resource.Resource]] = {'enable': EnableController(), 'disable': DisableController()}

    @resource.endpoint(query=schemas.DEVICES_QUERY, response=schemas.DEVICES)
    def get_all(self, call: resource.Call) -> dict[str, Any]:
        policy.authorize(call.context, rules.LIST)
        wanted = {name: call.query[name] for name in ('vendor',) if name in call.query}
        if 'hostname' in call.query:
            wanted['host'] = call.query['hostname']
        with db.reader() as session:
            page = _page(session, call)
            if 'type' in call.query:  # it follows from the vendor, which the database does not know
                page['limit'] = None
            found = [one for one in db_device.listed(session, filters=wanted, **page)
                     if call.query.get('type') in (None, inventory.kind(one.vendor))]
            return {'devices': [_show(call, device) for device in found[:call.query.get('limit')]]}

    @resource.endpoint(response=schemas.DEVICE)
    def get_one(self, call: resource.Call, device_id: str) -> dict[str, Any]:
        policy.authorize(call.context, rules.SHOW)
        with db.reader() as session:
            (found,) = db_device.listed(session, filters={'id': _identify(session, device_id)})
            return _show(call, found)


class _ProgramController(resource.Resource):
    """``PATCH /v2/deployables/{id}/program``"""

    @resource.endpoint(body=schemas.PROGRAM, response=schemas.DEPLOYABLE)
    def patch_all(self, call: resource.Call, deployable_id: str) -> dict[str, Any]:
        policy.authorize(call.context, rules.UPDATE)
        with db.reader() as session:
            find_deployable(session, deployable_id)
        raise errors.NotSupported(f'Deployable {deployable_id} cannot be programmed: it is no FPGA')


def find_deployable(session: orm.Session, identifier: str) -> models.Device:
    """Return the device of a deployable.

    :raises NotFound:
    """
    found = next((known for known in db_device.ids(session)
                  if inventory.deployable_uuid(known) == identifier.lower()), None)
    if found is None:
        raise errors.NotFound(f'Deployable not found with uuid={identifier}')
    return db_device.get(session, found)


class DeployablesController(resource.Resource):
    """The collection and its items."""

    children: ClassVar[Mapping[str, resource.Resource]] = {'program': _ProgramController()}

    @resource.endpoint(query=schemas.DEPLOYABLES_QUERY, response=schemas.DEPLOYABLES)
    def get_all(self, call: resource.Call) -> dict[str, Any]:
        policy.authorize(call.context, rules.LIST)
        with db.reader() as session:
            found = db_device.list_page(session, sort=(('id', 'asc'),), **_page(session, call))
            noted = db_attribute.of_devices(session, [one.id for one in found] if 'limit' in call.query else None)
            return {'deployables': [self._show(call, device, noted.get(device.id, [])) for device in found]}

    @resource.endpoint(response=schemas.DEPLOYABLE)
    def get_one(self, call: resource.Call, deployable_id: str) -> dict[str, Any]:
        policy.authorize(call.context, rules.SHOW)
        with db.reader() as session:
            device = find_deployable(session, deployable_id)
            return self._show(call, device, db_attribute.of_devices(session, [device.id]).get(device.id, []))

    def _show(self, call: resource.Call, device: models.Device, noted: list[models.Attribute]) -> dict[str, Any]:
        return inventory.show_deployable(call.url, device, [
            inventory.Attribute(one.id, one.key, one.value) for one in noted])


def _page(session: orm.Session, call: resource.Call) -> dict[str, Any]:
    """Return limit and marker; the marker is the last object's UUID, of a device or a deployable."""
    marker = call.query.get('marker')
    if marker is not None:
        marker = _known(session, marker, inventory.device_uuid, inventory.deployable_uuid) or marker
    return {'limit': call.query.get('limit'), 'marker': marker}
