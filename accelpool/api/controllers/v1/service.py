# SPDX-License-Identifier: Apache-2.0
"""``/v1/services``"""

from typing import Any

from accelpool import policy
from accelpool.api import collection, resource
from accelpool.api.controllers.v1 import host as host_controller
from accelpool.api.schemas.v1 import service as schemas
from accelpool.db import models
from accelpool.db import service as db_service
from accelpool.db import session as db
from accelpool.policy import service as rules


def show(service: models.Service) -> dict[str, Any]:
    return {
        'id': service.id, 'binary': service.binary, 'host': service.host, 'topic': service.topic,
        'state': 'up' if host_controller.is_up(service.last_seen) else 'down',
        'disabled': service.disabled, 'disabled_reason': service.disabled_reason,
        'version': service.version, 'last_seen': collection.time(service.last_seen),
        'created_at': collection.time(service.created_at),
    }


class ServicesController(resource.Resource):
    """The collection and its items."""

    @resource.endpoint(query=schemas.LIST_QUERY, response=schemas.LIST)
    def get_all(self, call: resource.Call) -> dict[str, Any]:
        policy.authorize(call.context, rules.LIST)
        with db.reader() as session:
            return collection.page(
                call, 'services', lambda **page: db_service.list_page(session, **page), show,
                default_sort='binary,host')

    @resource.endpoint(body=schemas.UPDATE, response=schemas.SHOW)
    def patch(self, call: resource.Call, service_id: str) -> dict[str, Any]:
        policy.authorize(call.context, rules.UPDATE)
        with db.writer() as session:
            service = db_service.get(session, service_id)
            db_service.update(
                session, service, **host_controller.with_reason(call.body, on='disabled', meaning=False))
            session.refresh(service)
            return show(service)
