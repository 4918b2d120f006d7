# SPDX-License-Identifier: Apache-2.0
"""``/v1/drivers``: which drivers are installed, what each can do and which hosts use it."""

import dataclasses
import functools
import logging
import pathlib
import tempfile
from typing import Any

import sqlalchemy as sa
from stevedore import extension

from accelpool import errors, policy
from accelpool.api import collection, resource
from accelpool.api.schemas.v1 import driver as schemas
from accelpool.db import models
from accelpool.db import session as db
from accelpool.drivers import base
from accelpool.policy import driver as rules

LOG = logging.getLogger(__name__)

#: Interfaces that a driver may have, by the attribute that holds them.
INTERFACES = ('inventory', 'slicing', 'remoting')


@functools.cache
def installed() -> dict[str, list[str]]:
    """Return the interfaces of every driver that can be imported here, by the driver's name."""
    manager: extension.ExtensionManager[Any] = extension.ExtensionManager(base.NAMESPACE)
    return {found.name: _interfaces(found.plugin) for found in manager}


def _interfaces(driver: type[base.Driver]) -> list[str]:
    """Construct the driver for a host without devices: that never fails for want of hardware."""
    with tempfile.TemporaryDirectory() as state_dir:
        try:
            made = driver('', pathlib.Path(state_dir))
        except Exception:
            LOG.exception('Driver %s cannot be constructed', driver)
            return []
        return [name for name in INTERFACES if getattr(made, name, None) is not None]


@dataclasses.dataclass
class _Driver:
    id: str
    interfaces: list[str]
    hosts: set[str] = dataclasses.field(default_factory=set)


def show(driver: _Driver) -> dict[str, Any]:
    return {'id': driver.id, 'name': driver.id, 'interfaces': driver.interfaces, 'hosts': sorted(driver.hosts)}


def _known() -> dict[str, _Driver]:
    found = {name: _Driver(name, interfaces) for name, interfaces in installed().items()}
    query = sa.select(models.Device.driver, models.Host.name).join(models.Device.host).distinct()
    with db.reader() as session:
        for name, host in session.execute(query):
            found.setdefault(name, _Driver(name, [])).hosts.add(host)
    return found


def _list_page(*, sort: collection.Sort, marker: str | None, limit: int, **_: Any) -> list[_Driver]:
    """A page of what is in memory, with the meaning that pages of the database have."""
    known = _known()
    names = sorted(known, reverse=dict(sort)['name'] == 'desc')
    if marker is not None:
        if marker not in known:
            raise errors.InvalidRequest(f'The marker {marker} does not exist', field='marker')
        names = names[names.index(marker) + 1:]
    return [known[name] for name in names[:limit]]


class DriversController(resource.Resource):
    """A driver is in the list when it is installed here or has devices on some host."""

    @resource.endpoint(query=schemas.LIST_QUERY, response=schemas.LIST)
    def get_all(self, call: resource.Call) -> dict[str, Any]:
        policy.authorize(call.context, rules.LIST)
        return collection.page(call, 'drivers', _list_page, show, default_sort='name')
