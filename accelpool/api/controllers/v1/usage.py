# SPDX-License-Identifier: Apache-2.0
"""``/v1/allocations/{id}/usage``: what an allocation's slices use now."""

from typing import Any

from accelpool import errors, policy
from accelpool.api import ownership, resource
from accelpool.api.schemas.v1 import allocation as schemas
from accelpool.db import models
from accelpool.db import session as db
from accelpool.policy import allocation as rules
from accelpool.rpc import client


def show_slice(item: models.Slice) -> dict[str, Any]:
    return {
        'id': item.id, 'device_id': item.device_id, 'host': item.host, 'ordinal': item.ordinal,
        'compute': item.compute, 'memory': item.memory, 'isolation': item.isolation, 'template': item.template,
    }


class UsageController(resource.Resource):
    """Asked from the conductors; a host that does not answer leaves its slices' usage null."""

    @resource.endpoint(response=schemas.USAGE)
    def get_all(self, call: resource.Call, allocation_id: str) -> dict[str, Any]:
        with db.reader() as session:
            found = ownership.visible(session, call.context, allocation_id)
            policy.authorize(call.context, rules.SHOW, {'project_id': found.project_id})
        used: dict[str, dict[str, Any]] = {}
        for host in sorted({item.host for item in found.slices if item.bound}):
            used |= self._of_host(host, allocation_id)
        return {
            'allocation': allocation_id,
            'slices': [{**show_slice(item), 'usage': used.get(item.id)} for item in found.slices],
        }

    def _of_host(self, host: str, allocation_id: str) -> dict[str, dict[str, Any]]:
        try:
            answer = client.ConductorClient(host).usage(allocation_id)
        except errors.ServiceUnavailable:
            return {}
        return {
            entry['slice_id']: {name: value for name, value in entry.items()
                                if isinstance(value, int | float) and name != 'generation'}
            for entry in answer
        }
