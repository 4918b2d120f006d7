# SPDX-License-Identifier: Apache-2.0
"""``/v1/candidates``: what the scheduler would say, without claiming anything."""

from typing import Any

from accelpool import policy
from accelpool.api import demand, resource
from accelpool.api.schemas.v1 import candidate as schemas
from accelpool.db import session as db
from accelpool.policy import candidate as rules
from accelpool.rpc import client

_CANDIDATE = schemas.SHOW['properties']['candidates']['items']['required']
_REJECTION = schemas.SHOW['properties']['rejections']['items']['required']


class CandidatesController(resource.Resource):
    """A query that takes a body, hence POST; it changes nothing."""

    @resource.endpoint(body=schemas.CREATE, response=schemas.SHOW)
    def post(self, call: resource.Call) -> dict[str, Any]:
        policy.authorize(call.context, rules.LIST)
        with db.reader() as session:
            request = demand.resolve(session, call.body)
        found = client.SchedulerClient().candidates(request.to_dict())
        return {
            'candidates': [{name: item[name] for name in _CANDIDATE} for item in found['candidates']],
            'rejections': [{name: item[name] for name in _REJECTION} for item in found['rejections']],
        }
