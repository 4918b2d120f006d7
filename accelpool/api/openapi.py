# SPDX-License-Identifier: Apache-2.0
"""The API described as OpenAPI 3.1, drawn from the controllers: ``python -m accelpool.api.openapi``."""

import json
from collections.abc import Iterator
from typing import Any

from accelpool.api import microversions, resource
from accelpool.api.controllers import root

ERROR: dict[str, Any] = {
    'type': 'object',
    'properties': {'errors': {'type': 'array', 'items': {
        'type': 'object',
        'properties': {
            'status': {'type': 'integer'}, 'code': {'type': 'string'}, 'title': {'type': 'string'},
            'detail': {'type': 'string'}, 'request_id': {'type': ['string', 'null']},
            'field': {'type': 'string', 'description': 'the field that is wrong, where there is one'}},
        'required': ['status', 'code', 'title', 'detail', 'request_id'],
    }}},
    'required': ['errors'],
}


def operations(node: resource.Resource | None = None, path: str = '') -> Iterator[
        tuple[str, str, resource.Operation]]:
    """Yield (path, HTTP method, operation) of everything below a node, by default of the whole API."""
    node = node or root.RootController()
    yield from _endpoints(node, path or '/', resource.COLLECTION)
    below = path
    if not node.directory:
        noun = path.rpartition('/')[2]
        # The id of an item is named after its noun: /pools/{pool}/devices/{device}.
        below = f'{path}/{{{noun.removesuffix("s")}}}'
        yield from _endpoints(node, below, resource.ITEM)
    for name, child in node.children.items():
        yield from operations(child, f'{below}/{name}')


def _endpoints(node: resource.Resource, path: str, table: dict[str, str]) -> Iterator[
        tuple[str, str, resource.Operation]]:
    for verb, name in table.items():
        if verb != 'HEAD' and hasattr(node, name):
            yield path, verb, getattr(node, name).operation


def _describe(path: str, operation: resource.Operation) -> dict[str, Any]:
    parameters = [{'name': part[1:-1], 'in': 'path', 'required': True, 'schema': {'type': 'string'}}
                  for part in path.split('/') if part.startswith('{')]
    parameters += [{'name': name, 'in': 'query', 'schema': schema}
                   for name, schema in operation.query['properties'].items()]
    success: dict[str, Any] = {'description': 'Success'}
    if operation.response is not None:
        success['content'] = {'application/json': {'schema': operation.response}}
    described: dict[str, Any] = {
        'summary': operation.summary, 'parameters': parameters,
        'responses': {
            str(operation.status): success,
            'default': {'description': 'Any error', 'content': {'application/json': {'schema': ERROR}}}},
    }
    if operation.body is not None:
        described['requestBody'] = {
            'required': True, 'content': {'application/json': {'schema': operation.body}}}
    return described


def document() -> dict[str, Any]:
    """Return the description of the whole API."""
    paths: dict[str, dict[str, Any]] = {}
    for path, verb, operation in operations():
        paths.setdefault(path, {})[verb.lower()] = _describe(path, operation)
    return {
        'openapi': '3.1.0',
        'info': {'title': 'accelpool', 'version': str(microversions.MAXIMUM)},
        'paths': paths,
    }


if __name__ == '__main__':
    print(json.dumps(document(), indent=2))
