# SPDX-License-Identifier: Apache-2.0
"""Walks the policy's matrix, tests/policy/matrix.yaml, whoever gives the personas their identities."""

import json
import pathlib
import re
import time
import unittest
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import yaml
from oslo_policy import policy as oslo_policy

from accelpool import policy

MATRIX: dict[str, Any] = yaml.safe_load((pathlib.Path(__file__).parents[1] / 'policy/matrix.yaml').read_text())
#: persona, method, path, body -> status, parsed body of the answer
Ask = Callable[[str, str, str, Any], tuple[int, Any]]
#: Seconds in which an allocation must become active.
PATIENCE = 60

#: How an object to try the operations on is made, and by whom; what is not here is there already.
_RECIPES = {
    'allocation': ('member', '/v1/allocations', {'compute': 10, 'memory': 64}),
    'pool': ('admin', '/v1/pools', {'name': '${unique}'}),
    'profile': ('admin', '/v1/profiles', {'name': '${unique}', 'compute': 10, 'memory': 64}),
}


def documented() -> set[tuple[str, str]]:
    """Return every operation that a rule documents, as method and path without query, ids as {}."""
    return {(operation['method'], _plain(operation['path'])) for rule in policy.list_rules()
            if isinstance(rule, oslo_policy.DocumentedRuleDefault) for operation in rule.operations}


def walked() -> set[tuple[str, str]]:
    """Return every operation of the matrix in the same form."""
    return {(method, _plain(path)) for method, path in (row['request'].split() for row in MATRIX['operations'])}


def _plain(path: str) -> str:
    return re.sub(r'\{\w+\}', '{}', path.partition('?')[0])


def expected(row: dict[str, Any], persona: str) -> str:
    """Return what the matrix says of a persona and an operation: ``ok`` or a status."""
    if persona in MATRIX['nobody']:
        return '401'
    if persona in row['may']:
        return 'ok'
    return '404' if persona in row.get('missing', ()) else '403'


class Walk:
    """One pass over the matrix."""

    def __init__(self, case: unittest.TestCase, ask: Ask) -> None:
        self._case = case
        self._ask = ask
        self._objects: dict[str, str] = {}
        self._made: list[tuple[str, str]] = []
        case.addCleanup(self._clean)

    def run(self, personas: Iterable[str] = (*MATRIX['personas'], *MATRIX['nobody'])) -> int:
        """Try every operation as each persona; returns how many answers were compared."""
        count = 0
        for row in MATRIX['operations']:
            # Those who are refused first: they must leave the object as it is.
            for persona in sorted(personas, key=lambda one: expected(row, one) == 'ok'):
                with self._case.subTest(row['request'], persona=persona):
                    self._cell(row, persona)
                count += 1
        return count

    def lists(self) -> None:
        """Compare whose allocations each persona's list shows."""
        mine = {'own': self._make('allocation'), 'other': self._make('allocation', 'other-member')}
        for persona, projects in MATRIX['sees'].items():
            with self._case.subTest(persona=persona):
                _, answer = self._ask(persona, 'GET', '/v1/allocations', None)
                shown = {one['id'] for one in answer['allocations']}
                self._case.assertEqual(set(projects), {project for project, one in mine.items() if one in shown})

    def _cell(self, row: dict[str, Any], persona: str) -> None:
        method, path = row['request'].split()
        wanted = expected(row, persona)
        kinds = re.findall(r'\{(\w+)\}', path)
        for kind in kinds:
            path = path.replace(f'{{{kind}}}', self._object(kind))
        if method == 'DELETE' and kinds == ['pool', 'device'] and wanted == 'ok':
            self._ask('admin', 'PUT', path, {})
        status, answer = self._ask(persona, method, path, _filled(row.get('body')))
        self._case.assertEqual(wanted, 'ok' if 200 <= status < 300 else str(status), answer)
        if 'attachment' in path and wanted != 'ok':
            self._case.assertNotIn('credential', json.dumps(answer))
        if 'makes' in row and wanted == 'ok':
            self._made.append((row['makes'], answer['id']))
        if method == 'DELETE' and wanted == 'ok' and len(kinds) == 1:
            del self._objects[kinds[0]]

    def _object(self, kind: str) -> str:
        if kind not in self._objects:
            self._objects[kind] = self._make(kind) if kind in _RECIPES else self._first(kind)
        return self._objects[kind]

    def _make(self, kind: str, persona: str | None = None) -> str:
        maker, path, body = _RECIPES[kind]
        status, answer = self._ask(persona or maker, 'POST', path, _filled(body))
        self._case.assertIn(status, {201, 202}, answer)
        identifier = str(answer['id'])
        self._made.append((kind, identifier))
        if kind == 'allocation':
            self._wait(identifier)
        return identifier

    def _wait(self, identifier: str) -> None:
        for state in self._states(identifier):
            if state == 'active':
                return
            time.sleep(0.1)
        self._case.fail(f'{identifier} is not active')

    def _states(self, identifier: str) -> Iterator[str]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            yield self._ask('admin', 'GET', f'/v1/allocations/{identifier}', None)[1]['state']

    def _first(self, kind: str) -> str:
        if kind == 'project':
            return str(self._ask('member', 'GET', f'/v1/allocations/{self._object("allocation")}', None)[1]['project_id'])
        _, answer = self._ask('admin', 'GET', f'/v1/{kind}s', None)
        return str(answer[f'{kind}s'][0]['id'])

    def _clean(self) -> None:
        for kind, identifier in reversed(self._made):
            self._ask('admin', 'DELETE', f'/v1/{kind}s/{identifier}', None)


def _filled(body: Any) -> Any:
    return body if body is None else json.loads(json.dumps(body).replace('${unique}', f'policy-{uuid.uuid4()}'))
