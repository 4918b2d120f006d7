# SPDX-License-Identifier: Apache-2.0
"""Walks the policy's matrix, tests/policy/matrix.yaml, whoever gives the personas their identities."""

import json
import pathlib
import re
import time
import unittest
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import yaml
from oslo_policy import policy as oslo_policy

from accelpool import policy

MATRIX: dict[str, Any] = yaml.safe_load((pathlib.Path(__file__).parents[1] / 'policy/matrix.yaml').read_text())
#: persona, method, path, body -> status, parsed body of the answer
Ask = Callable[[str, str, str, Any], tuple[int, Any]]
#: Seconds in which an allocation must become active.
PATIENCE = 60

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
        self._objects: dict[str, Any] = {}
        self._gone: list[str] = []
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
        wanted = expected(row, persona)
        method, path = str(self._filled(row['request'])).split()
        kinds = _kinds(row['request'])
        if method == 'DELETE' and kinds == ['pool', 'device'] and wanted == 'ok':
            self._ask('admin', 'PUT', path, {})
        status, answer = self._ask(persona, method, path, self._filled(row.get('body')))
        passed = 200 <= status < 300 or status == row.get('passes')
        self._case.assertEqual(wanted, 'ok' if passed else str(status), answer)
        if 'attachment' in path and wanted != 'ok':
            self._case.assertNotIn('credential', json.dumps(answer))
        if 'makes' in row and wanted == 'ok':
            self._note(row['makes'], answer)
        if method == 'DELETE' and wanted == 'ok' and len(kinds) == 1:
            self._objects = {}  # what was made of it may be gone, too

    def _filled(self, value: Any) -> Any:
        """Put objects where the matrix names their kinds."""
        if isinstance(value, dict):
            return {self._filled(key): self._filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        if not isinstance(value, str):
            return value
        if value in {f'{{{kind}}}' for kind in _kinds(value)}:
            return self._object(value[1:-1])
        for kind in _kinds(value):
            value = value.replace(f'{{{kind}}}', str(self._object(kind)))
        return value.replace('${unique}', f'policy-{uuid.uuid4()}')

    def _object(self, kind: str) -> Any:
        if kind not in self._objects:
            self._objects[kind] = self._make(kind)
        return self._objects[kind]

    def _make(self, kind: str, persona: str | None = None) -> Any:
        """Make an object, or find one."""
        recipe = MATRIX['objects'][kind]
        method, path = str(self._filled(recipe['request'])).split()
        status, answer = self._ask(persona or recipe['as'], method, path, self._filled(recipe.get('body')))
        self._case.assertIn(status, {200, 201, 202}, answer)
        identifier = self._note(kind, answer)
        if kind == 'allocation':
            self._wait(identifier)
        return identifier

    def _note(self, kind: str, answer: Any) -> Any:
        """Return what identifies a new object, which is deleted in the end."""
        recipe = MATRIX['objects'][kind]
        for part in recipe['id'].split('.'):
            # A field that is named otherwise where the object is made through the other tree.
            answer = answer[int(part)] if isinstance(answer, list) else answer.get(part, answer.get('uuid'))
        if 'gone' in recipe:
            self._gone.append(recipe['gone'].replace('{}', str(answer)))
        return answer

    def _wait(self, identifier: str) -> None:
        deadline = time.monotonic() + PATIENCE
        state = ''
        while state != 'active':
            state = self._ask('admin', 'GET', f'/v1/allocations/{identifier}', None)[1]['state']
            self._case.assertNotEqual('error', state)
            self._case.assertLess(time.monotonic(), deadline, f'{identifier} is {state}')
            time.sleep(0.05)

    def _clean(self) -> None:
        for request in reversed(self._gone):
            self._ask('admin', *request.split(), None)


def _kinds(text: str) -> list[str]:
    return re.findall(r'(?<!\$)\{(\w+)\}', text)
