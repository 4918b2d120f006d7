# SPDX-License-Identifier: Apache-2.0
"""``/v2``: the tree that Nova and Cyborg's clients use."""

from collections.abc import Mapping
from typing import Any, ClassVar

from accelpool.api import cyborg, resource
from accelpool.api.controllers.v2 import accelerator_request, attribute, device, device_profile
from accelpool.api.schemas.v2 import common


class V2Controller(resource.Directory):
    """The top of ``/v2``."""

    children: ClassVar[Mapping[str, resource.Resource]] = {
        'accelerator_requests': accelerator_request.AcceleratorRequestsController(),
        'attributes': attribute.AttributesController(),
        'deployables': device.DeployablesController(),
        'device_profiles': device_profile.DeviceProfilesController(),
        'devices': device.DevicesController(),
    }

    @resource.endpoint(response=common.VERSION)
    def get_all(self, call: resource.Call) -> dict[str, Any]:
        return version_document(call)


def version_document(call: resource.Call) -> dict[str, Any]:
    """Describe ``/v2`` as Cyborg does, which is not wrapped."""
    return {
        'id': 'v2.0', 'links': [{'href': f'{call.url}/v2/', 'rel': 'self'}],
        'max_version': str(cyborg.MAXIMUM), 'min_version': str(cyborg.MINIMUM), 'status': 'CURRENT',
    }
