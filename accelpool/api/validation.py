# SPDX-License-Identifier: Apache-2.0
"""Checks of bodies, query strings and responses against JSON schemas (draft 2020-12).

Every schema is compiled once, at import.  A failed check names the field: ``traits.0`` is the first
element of ``traits``.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import jsonschema
from jsonschema import exceptions

from accelpool import errors

Schema = Mapping[str, Any]

#: Longest part of an offending value that an error repeats, in characters.
EXCERPT = 200


class Checker:
    """A compiled schema."""

    def __init__(self, schema: Schema) -> None:
        jsonschema.Draft202012Validator.check_schema(schema)
        self.schema = schema
        self._validator = jsonschema.Draft202012Validator(schema)

    def check(self, value: Any) -> None:
        """Raise InvalidRequest, naming the field, unless the value matches."""
        found = list(self._validator.iter_errors(value))
        if found:
            # Of several errors the one nearest to the top of the document; the first of equals.
            error = exceptions.best_match(found)
            field = _field(error)
            raise errors.InvalidRequest(f'{field}: {_message(error)}', field=field)

    def check_response(self, value: Any) -> None:
        """Raise AssertionError unless the value matches: a wrong response is our own bug."""
        for error in self._validator.iter_errors(value):
            raise AssertionError(f'response field {_field(error)}: {error.message}')


class QueryChecker(Checker):
    """A compiled schema of a query string: converts the text to the type that the schema names."""

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self._may_be_absent = self._validator.is_valid({})

    def parse(self, items: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """Return the parameters of a query string, converted and checked.

        :raises InvalidRequest: an unknown or repeated parameter, or a value that it cannot have
        """
        properties = self.schema.get('properties', {})
        values: dict[str, Any] = {}
        for name, text in items:
            if name in values:
                raise errors.InvalidRequest(f'{name}: given more than once', field=name)
            values[name] = _convert(text, properties.get(name, {}).get('type'))
        if values or not self._may_be_absent:
            self.check(values)
        return values


def parse_json(raw: bytes) -> Any:
    """Parse a request body strictly: UTF-8, no NaN, no lone surrogates; 1.0 is the integer 1.

    :raises InvalidRequest: with field ``body``
    """
    try:
        value = json.loads(raw.decode('utf-8'), parse_float=_number, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode('utf-8')
    except (ValueError, RecursionError) as failure:
        reason = str(failure) if isinstance(failure, json.JSONDecodeError) else type(failure).__name__
        raise errors.InvalidRequest(f'The body is not JSON: {reason}', field='body') from failure
    return value


def _number(text: str) -> float | int:
    value = float(text)
    return int(value) if value.is_integer() else value


def _no_constant(text: str) -> float:
    raise ValueError(f'{text} is not JSON')


def _convert(text: str, kind: Any) -> Any:
    """Turn the text of a query parameter into the schema's type; what does not convert stays text."""
    if kind == 'integer' and text.isascii() and text.removeprefix('-').isdigit() and len(text) < 20:
        return int(text)
    if kind == 'boolean' and text.lower() in {'true', 'false', '1', '0'}:
        return text.lower() in {'true', '1'}
    return text


def _field(error: exceptions.ValidationError) -> str:
    """Name the offending field: for an unknown or missing one that field, not what should hold it."""
    path = [str(part) for part in error.absolute_path]
    schema: Any = error.schema
    instance: Any = error.instance
    if error.validator == 'additionalProperties':
        path.append(next(str(name) for name in instance if name not in schema.get('properties', {})))
    elif error.validator == 'required':
        path.append(next(name for name in schema['required'] if name not in instance))
    return '.'.join(path) or 'body'


def _message(error: exceptions.ValidationError) -> str:
    schema: Any = error.schema
    if error.validator == 'additionalProperties':
        return 'unknown field'
    if error.validator == 'required':
        return 'is required'
    if error.validator == 'pattern' and 'description' in schema:
        return f'must be {schema["description"]}'
    message = error.message
    return message if len(message) <= EXCERPT else f'{message[:EXCERPT]} ...'
