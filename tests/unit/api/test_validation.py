# SPDX-License-Identifier: Apache-2.0
import json
import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from accelpool import errors
from accelpool.api import validation

BODY = validation.Checker({
    'type': 'object',
    'properties': {
        'size': {'type': 'integer', 'minimum': 1},
        'tags': {'type': 'array', 'items': {'type': 'string', 'pattern': '^[a-z]+$', 'description': 'letters'}},
        'inner': {'type': 'object', 'required': ['must'], 'properties': {'must': {}},
                  'additionalProperties': False},
    },
    'required': ['size'],
    'additionalProperties': False,
})
QUERY = validation.QueryChecker({
    'type': 'object',
    'properties': {'limit': {'type': 'integer', 'minimum': 1}, 'all': {'type': 'boolean'}, 'name': {'type': 'string'}},
    'additionalProperties': False,
})


class CheckTest(unittest.TestCase):
    def field_of(self, body: Any) -> str | None:
        with self.assertRaises(errors.InvalidRequest) as caught:
            BODY.check(body)
        self.assertIn(str(caught.exception.field), caught.exception.detail)
        return caught.exception.field

    def test_names_the_field(self) -> None:
        self.assertEqual('size', self.field_of({}))
        self.assertEqual('size', self.field_of({'size': 0}))
        self.assertEqual('size', self.field_of({'size': '1'}))
        self.assertEqual('other', self.field_of({'size': 1, 'other': 2}))
        self.assertEqual('tags.1', self.field_of({'size': 1, 'tags': ['a', 'B']}))
        self.assertEqual('inner.must', self.field_of({'size': 1, 'inner': {}}))
        self.assertEqual('inner.not', self.field_of({'size': 1, 'inner': {'must': 1, 'not': 1}}))
        self.assertEqual('body', self.field_of([]))

    def test_repeats_little_of_a_long_value(self) -> None:
        with self.assertRaises(errors.InvalidRequest) as caught:
            BODY.check({'size': 'x' * 100_000})
        self.assertLess(len(caught.exception.detail), 1000)

    def test_response(self) -> None:
        BODY.check_response({'size': 1})
        with self.assertRaisesRegex(AssertionError, 'size'):
            BODY.check_response({'size': None})


class QueryTest(unittest.TestCase):
    def test_converts(self) -> None:
        self.assertEqual({'limit': 10, 'all': True, 'name': '10'},
                         QUERY.parse([('limit', '10'), ('all', 'True'), ('name', '10')]))
        self.assertEqual({'all': False}, QUERY.parse([('all', '0')]))

    def test_refuses(self) -> None:
        for items, field in (
                ([('limit', 'x')], 'limit'), ([('limit', '0')], 'limit'), ([('limit', '²')], 'limit'),
                ([('limit', '-' * 3)], 'limit'), ([('limit', '9' * 6000)], 'limit'), ([('all', 'maybe')], 'all'),
                ([('other', '')], 'other'), ([('name', 'a'), ('name', 'a')], 'name')):
            with self.subTest(str(items)[:60]), self.assertRaises(errors.InvalidRequest) as caught:
                QUERY.parse(items)
            self.assertEqual(field, caught.exception.field)


class ParseTest(unittest.TestCase):
    def test_integral_numbers_are_integers(self) -> None:
        self.assertEqual('[1, 1.5, 100]', json.dumps(validation.parse_json(b'[1.0, 1.5, 1e2]')))

    def test_refuses(self) -> None:
        for raw in (b'', b'{', b'\xff', b'NaN', b'-Infinity', b'"\\ud800"', b'[' * 100_000, b'9' * 10_000,
                    b'{"a": 1} x'):
            with self.subTest(raw[:20]), self.assertRaises(errors.InvalidRequest) as caught:
                validation.parse_json(raw)
            self.assertEqual('body', caught.exception.field)

    @given(st.binary())
    def test_any_bytes(self, raw: bytes) -> None:
        try:
            json.dumps(validation.parse_json(raw), ensure_ascii=False).encode()
        except errors.InvalidRequest as failure:
            self.assertEqual('body', failure.field)
