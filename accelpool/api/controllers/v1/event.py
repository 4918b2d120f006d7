# SPDX-License-Identifier: Apache-2.0
"""``/v1/allocations/{id}/events``: what happened to an allocation, oldest first."""

from typing import Any

from accelpool import policy
from accelpool.api import collection, ownership, resource
from accelpool.api.schemas.v1 import allocation as schemas
from accelpool.db import event as db_event
from accelpool.db import models
from accelpool.db import session as db
from accelpool.policy import allocation as rules


def show(event: models.Event) -> dict[str, Any]:
    return {
        'id': event.id, 'time': collection.time(event.time), 'event': event.event,
        'from_state': event.from_state, 'to_state': event.to_state, 'detail': event.detail,
    }


class EventsController(resource.Resource):
    """Events cannot be changed."""

    @resource.endpoint(query=schemas.EVENTS_QUERY, response=schemas.EVENTS)
    def get_all(self, call: resource.Call, allocation_id: str) -> dict[str, Any]:
        with db.reader() as session:
            found = ownership.visible(session, call.context, allocation_id)
            policy.authorize(call.context, rules.SHOW, {'project_id': found.project_id})
            return collection.page(
                call, 'events',
                lambda *, marker, limit, **_: db_event.list_page(
                    session, allocation_id=allocation_id, marker=marker, limit=limit),
                show)
