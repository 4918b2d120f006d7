# SPDX-License-Identifier: Apache-2.0
"""``/``: which versions of the API there are."""

from collections.abc import Mapping
from typing import Any, ClassVar

from accelpool.api import resource
from accelpool.api.controllers.v1 import tree
from accelpool.api.schemas import root as schemas


class RootController(resource.Directory):
    """The top of the URL tree."""

    children: ClassVar[Mapping[str, resource.Resource]] = {'v1': tree.V1Controller()}

    @resource.endpoint(response=schemas.LIST)
    def get_all(self, call: resource.Call) -> dict[str, Any]:
        return {'versions': [tree.version_document(call)]}
