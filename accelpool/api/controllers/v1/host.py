# SPDX-License-Identifier: Apache-2.0
"""``/v1/hosts``"""

import datetime
from typing import Any

from oslo_config import cfg

from accelpool import policy
from accelpool.api import collection, resource
from accelpool.api.schemas.v1 import host as schemas
from accelpool.db import host as db_host
from accelpool.db import models
from accelpool.db import session as db
from accelpool.policy import host as rules


def is_up(last_seen: datetime.datetime) -> bool:
    """Say whether a host or service was heard of lately."""
    down_after: int = cfg.CONF.scheduler.down_after
    return (models.utcnow() - last_seen).total_seconds() <= down_after


def show(host: models.Host) -> dict[str, Any]:
    return {
        'id': host.id, 'name': host.name, 'state': 'up' if is_up(host.last_seen) else 'down',
        'enabled': host.enabled, 'disabled_reason': host.disabled_reason, 'advertise': host.advertise,
        'last_seen': collection.time(host.last_seen),
        'created_at': collection.time(host.created_at), 'updated_at': collection.time(host.updated_at),
    }


class HostsController(resource.Resource):
    """The collection and its items; an item is addressed by id or name."""

    @resource.endpoint(query=schemas.LIST_QUERY, response=schemas.LIST)
    def get_all(self, call: resource.Call) -> dict[str, Any]:
        policy.authorize(call.context, rules.LIST)
        with db.reader() as session:
            return collection.page(
                call, 'hosts', lambda **page: db_host.list_page(session, **page), show,
                default_sort='name')

    @resource.endpoint(response=schemas.SHOW)
    def get_one(self, call: resource.Call, host_id: str) -> dict[str, Any]:
        policy.authorize(call.context, rules.SHOW)
        with db.reader() as session:
            return show(db_host.get(session, host_id))

    @resource.endpoint(body=schemas.UPDATE, response=schemas.SHOW)
    def patch(self, call: resource.Call, host_id: str) -> dict[str, Any]:
        policy.authorize(call.context, rules.UPDATE)
        with db.writer() as session:
            host = db_host.get(session, host_id)
            db_host.update(session, host, **with_reason(call.body))
            session.refresh(host)
            return show(host)


def with_reason(body: dict[str, Any], *, on: str = 'enabled', meaning: bool = True) -> dict[str, Any]:
    """Return the changes of a switch: what is switched on again has no reason to be off any more."""
    if body.get(on) is meaning and 'disabled_reason' not in body:
        return {**body, 'disabled_reason': None}
    return body
