# SPDX-License-Identifier: Apache-2.0
"""What Nova 34 and Cyborg 17 said to each other when an instance with two accelerators was booted and deleted, and what is
said here instead: the same requests, statuses, headers and fields.

The facts below were recorded between unmodified services; the fields of an attach handle are its type's.
"""

import dataclasses
import json
import re
import unittest
from collections.abc import Callable
from typing import Any

import jsonschema
import webob

from accelpool.api.schemas.v2 import accelerator_request, device_profile
from tests.functional import pool

#: On every answer.
HEADERS = {
    'Vary': 'OpenStack-API-Version', 'OpenStack-API-Version': 'accelerator 2.0', 'OpenStack-API-Minimum-Version': '2.0',
    'OpenStack-API-Maximum-Version': '2.3'}
UUID, TIME = r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00'
INSTANCE, PROVIDER = '00000000-0000-4000-8000-0000000000a1', '00000000-0000-4000-8000-0000000000f1'

#: Recorded values: a pattern where the value is of this very exchange.
PROFILE = {
    'uuid': UUID, 'name': 'fakedp', 'description': None,
    'groups': [{'resources:FPGA': '2', 'trait:CUSTOM_EMULATED': 'required'}],
    'created_at': TIME, 'updated_at': None, 'links': [{'href': f'.*/v2/device_profiles/{UUID}', 'rel': 'self'}]}
INITIAL = {
    'uuid': UUID, 'state': 'Initial', 'device_profile_name': 'fakedp', 'device_profile_group_id': 0, 'hostname': None,
    'device_rp_uuid': None, 'instance_uuid': None, 'project_id': '.+', 'attach_handle_type': '',
    'attach_handle_uuid': None, 'attach_handle_info': {}, 'created_at': TIME, 'updated_at': None,
    'links': [{'href': f'.*/v2/accelerator_requests/{UUID}', 'rel': 'self'}]}
BOUND = INITIAL | {
    'state': 'Bound', 'hostname': 'host-a', 'device_rp_uuid': PROVIDER, 'instance_uuid': INSTANCE,
    'attach_handle_type': '.+', 'attach_handle_uuid': UUID, 'attach_handle_info': {'': '.+'}, 'updated_at': TIME}


@dataclasses.dataclass(frozen=True)
class Exchange:
    """A request of Nova's and Cyborg's answer; ``body`` None: there was none, and no content type."""

    method: str
    path: str
    sent: Callable[[list[str]], Any] | None   # given the ids of the accelerator requests
    status: int
    body: Any


def _binding(arqs: list[str]) -> Any:
    return {arq: [{'path': f'/{name}', 'op': 'add', 'value': value} for name, value in (
        ('hostname', 'host-a'), ('device_rp_uuid', PROVIDER), ('instance_uuid', INSTANCE))] for arq in arqs}


RECORDED = (
    Exchange('GET', '/v2/device_profiles?name=fakedp', None, 200, {'device_profiles': [PROFILE]}),
    Exchange('POST', '/v2/accelerator_requests', lambda _: {'device_profile_name': 'fakedp'}, 201,
             {'arqs': [INITIAL, INITIAL]}),
    Exchange('PATCH', '/v2/accelerator_requests', _binding, 202, None),
    Exchange('GET', f'/v2/accelerator_requests?instance={INSTANCE}', None, 200, {'arqs': [BOUND, BOUND]}),
    Exchange('DELETE', f'/v2/accelerator_requests?instance={INSTANCE}', None, 204, None),
)


def differences(recorded: Any, found: Any, where: str = '') -> list[str]:
    """Return where a body has other fields, types or values than the recorded one."""
    match recorded:
        case {'': value}:  # whatever its fields are called
            return [one for key in found for one in differences(value, found[key], f'{where}.{key}')]
        case dict() if isinstance(found, dict) and recorded.keys() == found.keys():
            return [one for key in recorded for one in differences(recorded[key], found[key], f'{where}.{key}')]
        case list() if isinstance(found, list) and len(recorded) == len(found):
            return [one for place, (value, other) in enumerate(zip(recorded, found, strict=True))
                    for one in differences(value, other, f'{where}.{place}')]
        case str() if isinstance(found, str) and re.fullmatch(recorded, found):
            return []
        case _ if recorded == found and not isinstance(recorded, str):
            return []
    return [f'{where}: {found!r} instead of {recorded!r}']


class Recorded(unittest.TestCase):
    def setUp(self) -> None:
        self.pool = pool.Pool()
        self.addCleanup(self.pool.close)
        made = self.ask('POST', '/v2/device_profiles', [{'name': 'fakedp', 'groups': PROFILE['groups']}], 'admin')
        self.assertEqual(201, made.status_int, made.text)

    def ask(self, method: str, path: str, body: Any = None, user: str = 'member') -> webob.Response:
        request = webob.Request.blank(path, method=method, headers={'X-Auth-Token': user, 'X-Service-Token': 'nova'})
        if body is not None:
            request.content_type = 'application/json'
            request.body = json.dumps(body).encode()
        return request.get_response(self.pool.application)

    def test_nova_is_answered_as_cyborg_answers(self) -> None:
        arqs: list[str] = []
        for one in RECORDED:
            with self.subTest(f'{one.method} {one.path}'):
                answer = self.ask(one.method, one.path, one.sent(arqs) if one.sent else None)
                self.assertEqual(one.status, answer.status_int, answer.text)
                self.assertLessEqual(HEADERS.items(), dict(answer.headers).items())
                self.assertRegex(answer.headers['x-openstack-request-id'], f'^req-{UUID}$')
                if one.body is None:
                    self.assertEqual((b'', None), (answer.body, answer.headers.get('Content-Type')))
                    continue
                self.assertEqual('application/json', answer.headers['Content-Type'])
                self.assertEqual([], differences(one.body, answer.json))
                arqs = [arq['uuid'] for arq in answer.json.get('arqs', ())]

    def test_the_schemas_of_answers_have_exactly_the_recorded_fields(self) -> None:
        for schema, recorded in ((device_profile.PROFILE, PROFILE), (accelerator_request.ARQ, INITIAL)):
            self.assertEqual(recorded.keys(), schema['properties'].keys())
            self.assertEqual(recorded.keys(), set(schema['required']))
            self.assertFalse(schema['additionalProperties'])

    def test_the_schema_takes_what_cyborg_answered(self) -> None:
        """A function of a PCI device: of the recorded fields only the type has another name here."""
        time, uuid = '2026-11-23T11:07:24+00:00', '49965b71-1e31-4c97-8d4f-a3698629c4d6'
        recorded = BOUND | {
            'uuid': uuid, 'project_id': '321e7f11100340d8a4522ba660e8220d', 'attach_handle_type': 'PCI',
            'attach_handle_uuid': uuid, 'created_at': time, 'updated_at': time,
            'attach_handle_info': {'domain': '0000', 'bus': '0c', 'device': '0', 'function': '1'}}
        jsonschema.validate({'arqs': [recorded]}, accelerator_request.LIST, jsonschema.Draft202012Validator)


if __name__ == '__main__':
    unittest.main()
