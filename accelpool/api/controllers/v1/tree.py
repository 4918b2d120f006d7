# SPDX-License-Identifier: Apache-2.0
"""``/v1``: accelpool's own API, and the nouns in it."""

from collections.abc import Mapping
from typing import Any, ClassVar

from accelpool.api import microversions, resource
from accelpool.api.controllers.v1 import (
    allocation,
    candidate,
    device,
    driver,
    enrolment,
    host,
    pool,
    profile,
    quota,
    service,
)
from accelpool.api.schemas import root as schemas


class V1Controller(resource.Directory):
    """The top of ``/v1``."""

    children: ClassVar[Mapping[str, resource.Resource]] = {
        'allocations': allocation.AllocationsController(),
        'candidates': candidate.CandidatesController(),
        'devices': device.DevicesController(),
        'drivers': driver.DriversController(),
        'enrolments': enrolment.EnrolmentsController(),
        'hosts': host.HostsController(),
        'pools': pool.PoolsController(),
        'profiles': profile.ProfilesController(),
        'quotas': quota.QuotasController(),
        'services': service.ServicesController(),
    }

    @resource.endpoint(response=schemas.SHOW)
    def get_all(self, call: resource.Call) -> dict[str, Any]:
        return {'version': version_document(call)}


def version_document(call: resource.Call) -> dict[str, Any]:
    """Describe ``/v1`` the way OpenStack clients discover versions."""
    return {
        'id': 'v1.0', 'status': 'CURRENT',
        'min_version': str(microversions.MINIMUM), 'version': str(microversions.MAXIMUM),
        'links': [{'rel': 'self', 'href': f'{call.url}/v1/'}],
    }
