# SPDX-License-Identifier: Apache-2.0
"""``/``: which versions of the API there are."""

from collections.abc import Mapping
from typing import Any, ClassVar

from accelpool.api import resource
from accelpool.api.controllers.v1 import tree
from accelpool.api.controllers.v2 import tree as v2
from accelpool.api.schemas import root as schemas


class RootController(resource.Directory):
    """The top of the URL tree."""

    children: ClassVar[Mapping[str, resource.Resource]] = {'v1': tree.V1Controller(), 'v2': v2.V2Controller()}

    @resource.endpoint(response=schemas.LIST)
    def get_all(self, call: resource.Call) -> dict[str, Any]:
        return {'versions': [tree.version_document(call), _discoverable(v2.version_document(call))]}


def _discoverable(document: dict[str, Any]) -> dict[str, Any]:
    """Add the name under which clients look for the newest microversion."""
    return {**document, 'version': document['max_version']}
