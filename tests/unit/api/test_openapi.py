# SPDX-License-Identifier: Apache-2.0
import re
import unittest

from accelpool import policy
from accelpool.api import openapi

#: What needs no permission, or proves itself by what it sends.
PUBLIC = {('GET', '/'), ('GET', '/v1'), ('GET', '/v2'), ('POST', '/v1/enrolments'),
          ('GET', '/v1/enrolments/{}/attachment')}


def _normal(path: str) -> str:
    return re.sub(r'\{\w+\}', '{}', path.partition('?')[0])


class OperationsTest(unittest.TestCase):
    def test_every_operation_has_a_documented_rule_and_the_other_way_round(self) -> None:
        offered = {(verb, _normal(path)) for path, verb, _ in openapi.operations()} - PUBLIC
        ruled = {(operation['method'], _normal(operation['path']))
                 for rule in policy.list_rules() for operation in getattr(rule, 'operations', ())}
        self.assertEqual(offered, ruled)

    def test_every_field_of_a_body_is_known(self) -> None:
        for path, verb, operation in openapi.operations():
            for schema in (operation.query, operation.body):
                if schema is not None:
                    # a list has bodies in it; what /v2/deployables takes is refused as it is
                    inner = schema.get('items', schema)
                    if inner != {'type': 'object'}:
                        self.assertIs(False, inner['additionalProperties'], f'{verb} {path}')


class DocumentTest(unittest.TestCase):
    def test_paths_have_their_parameters(self) -> None:
        document = openapi.document()
        put = document['paths']['/v1/pools/{pool}/devices/{device}']['put']
        self.assertEqual(['pool', 'device'], [parameter['name'] for parameter in put['parameters']])
        self.assertEqual({'204', 'default'}, set(put['responses']))
        found = document['paths']['/v1/allocations']['get']['parameters']
        self.assertLessEqual({'limit', 'marker', 'sort', 'state'}, {parameter['name'] for parameter in found})
