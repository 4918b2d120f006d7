# SPDX-License-Identifier: Apache-2.0
"""``/v1/pools``"""

from collections.abc import Mapping
from typing import Any, ClassVar

from accelpool import policy
from accelpool.api import collection, resource
from accelpool.api.schemas.v1 import pool as schemas
from accelpool.db import device as db_device
from accelpool.db import models
from accelpool.db import pool as db_pool
from accelpool.db import session as db
from accelpool.policy import pool as rules


def show(pool: models.Pool) -> dict[str, Any]:
    return {
        'id': pool.id, 'name': pool.name, 'description': pool.description,
        'isolations': pool.isolations,
        'devices': [device.id for device in pool.devices],
        'created_at': collection.time(pool.created_at), 'updated_at': collection.time(pool.updated_at),
    }


class MembersController(resource.Resource):
    """``/v1/pools/{pool}/devices/{device}``"""

    @resource.endpoint(body=schemas.JOIN, status=204)
    def put(self, call: resource.Call, pool_id: str, device_id: str) -> None:
        policy.authorize(call.context, rules.UPDATE)
        with db.writer() as session:
            db_pool.add_device(
                session, db_pool.get(session, pool_id), db_device.get(session, device_id))

    @resource.endpoint(status=204)
    def delete(self, call: resource.Call, pool_id: str, device_id: str) -> None:
        policy.authorize(call.context, rules.UPDATE)
        with db.writer() as session:
            db_pool.remove_device(
                session, db_pool.get(session, pool_id), db_device.get(session, device_id))


class PoolsController(resource.Resource):
    """The collection and its items; an item is addressed by id or name."""

    children: ClassVar[Mapping[str, resource.Resource]] = {'devices': MembersController()}

    @resource.endpoint(query=schemas.LIST_QUERY, response=schemas.LIST)
    def get_all(self, call: resource.Call) -> dict[str, Any]:
        policy.authorize(call.context, rules.LIST)
        with db.reader() as session:
            return collection.page(
                call, 'pools', lambda **page: db_pool.list_page(session, **page), show)

    @resource.endpoint(response=schemas.SHOW)
    def get_one(self, call: resource.Call, pool_id: str) -> resource.Answer:
        policy.authorize(call.context, rules.SHOW)
        with db.reader() as session:
            return resource.tagged(show(db_pool.get(session, pool_id)))

    @resource.endpoint(body=schemas.CREATE, response=schemas.SHOW, status=201)
    def post(self, call: resource.Call) -> resource.Answer:
        policy.authorize(call.context, rules.CREATE)
        with db.writer() as session:
            return resource.tagged(show(db_pool.create(session, **call.body)))

    @resource.endpoint(body=schemas.UPDATE, response=schemas.SHOW)
    def patch(self, call: resource.Call, pool_id: str) -> resource.Answer:
        policy.authorize(call.context, rules.UPDATE)
        with db.writer() as session:
            pool = db_pool.get(session, pool_id)
            resource.check_if_match(call.request, resource.etag(show(pool)))
            db_pool.update(session, pool, **call.body)
            return resource.tagged(show(pool))

    @resource.endpoint(status=204)
    def delete(self, call: resource.Call, pool_id: str) -> None:
        policy.authorize(call.context, rules.DELETE)
        with db.writer() as session:
            db_pool.delete(session, db_pool.get(session, pool_id))
