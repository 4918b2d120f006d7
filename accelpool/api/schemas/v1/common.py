# SPDX-License-Identifier: Apache-2.0
"""Pieces of schema that several nouns share."""

from collections.abc import Sequence
from typing import Any

Schema = dict[str, Any]

#: Most objects that one page of a collection has; also what a request without ``limit`` gets.
MAX_LIMIT = 1000

_CONTROL = r'\x00-\x1f\x7f'

UUID: Schema = {
    'type': 'string', 'maxLength': 36, 'description': 'a UUID in lower case',
    'pattern': '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$',
}
NAME: Schema = {
    'type': 'string', 'minLength': 1, 'maxLength': 255,
    'pattern': rf'^(?![.\s])(?![\s\S]*[{_CONTROL}/])(?![0-9a-f]{{8}}-([0-9a-f]{{4}}-){{3}}[0-9a-f]{{12}}$)',
    'description': 'a name: no slash, no control character, no leading dot or space, not a UUID',
}
#: One line of text, for example an id in somebody else's system.
LINE: Schema = {
    'type': 'string', 'minLength': 1, 'maxLength': 255, 'pattern': rf'^(?![\s\S]*[{_CONTROL}])',
    'description': 'text without control characters',
}
TEXT: Schema = {
    'type': 'string', 'maxLength': 4096, 'pattern': r'^(?![\s\S]*\x00)', 'description': 'text without NUL',
}
TRAIT: Schema = {
    'type': 'string', 'minLength': 1, 'maxLength': 255, 'pattern': r'^(?![\s\S]*[^A-Za-z0-9_.:-])',
    'description': 'a trait: letters, digits and any of _.:-',
}
TRAITS: Schema = {'type': 'array', 'items': TRAIT, 'maxItems': 64, 'uniqueItems': True}
MEMORY: Schema = {'type': 'integer', 'minimum': 1, 'maximum': 2**31 - 1}
COMPUTE: Schema = {'type': 'integer', 'minimum': 1, 'maximum': 100}
TIME: Schema = {'type': 'string', 'pattern': r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$'}
BOOLEAN: Schema = {'type': 'boolean'}
INTEGER: Schema = {'type': 'integer'}
COUNT: Schema = {'type': 'integer', 'minimum': 0}
STRING: Schema = {'type': 'string'}
STRINGS: Schema = {'type': 'array', 'items': STRING}
LINKS: Schema = {
    'type': 'array',
    'items': {
        'type': 'object', 'properties': {'rel': STRING, 'href': STRING},
        'required': ['rel', 'href'], 'additionalProperties': False,
    },
}


def nullable(schema: Schema) -> Schema:
    """Return the schema with ``null`` allowed as well."""
    changed = {**schema, 'type': [schema['type'], 'null']}
    if 'enum' in schema:
        changed['enum'] = [*schema['enum'], None]
    return changed


def request(properties: Schema, *, required: Sequence[str] = (), non_empty: bool = False) -> Schema:
    """Return the schema of a request's body."""
    schema: Schema = {
        'type': 'object', 'properties': properties, 'required': list(required),
        'additionalProperties': False,
    }
    if non_empty:
        schema['minProperties'] = 1
    return schema


def shown(properties: Schema, *, optional: Sequence[str] = ()) -> Schema:
    """Return the schema of an object in a response: exactly these fields."""
    return {
        'type': 'object', 'properties': properties,
        'required': [name for name in properties if name not in optional],
        'additionalProperties': False,
    }


def collection(noun: str, item: Schema) -> Schema:
    """Return the schema of a collection's page."""
    return shown({noun: {'type': 'array', 'items': item}, 'links': LINKS})


def collection_query(sort_keys: Sequence[str], filters: Schema | None = None) -> Schema:
    """Return the schema of a collection's query string: paging, sorting and the noun's filters."""
    key = f'({"|".join(sort_keys)})(:(asc|desc))?'
    return {
        'type': 'object',
        'properties': {
            'limit': {'type': 'integer', 'minimum': 1, 'maximum': MAX_LIMIT},
            'marker': LINE,
            'sort': {
                'type': 'string', 'maxLength': 255, 'pattern': rf'^{key}(,{key})*$(?![\s\S])',
                'description': f'<key>[:asc|:desc][,...] with keys {", ".join(sort_keys)}',
            },
            **(filters or {}),
        },
        'additionalProperties': False,
    }
