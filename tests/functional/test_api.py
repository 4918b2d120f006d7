# SPDX-License-Identifier: Apache-2.0
"""Runs tests/api/*.yaml against the real application in this process; each file is one test.

A file is a list of requests, which share the pool of :mod:`tests.functional.pool`::

    - name: what it shows
      as: admin                      # admin (default), member, reader, foreign (another project), nobody
      POST: /v1/pools?x=${variable}  # the method and the path
      headers: {If-Match: '"0"'}
      body: {name: fast}             # or raw: "text that is not JSON"
      status: 201
      response_headers: {ETag: /./}  # /regular expression/ or the exact value; null = absent
      json: {name: fast, devices.#: 0, links.0.rel: next}     # '#' is a length; null = null or absent
      save: {pool: id, tag: header ETag}                      # variables for later requests

Every response is checked against its schema; every error must have the one error form, which in /v2 is Cyborg's.
The header ``X-Service-Token: nova`` makes a request one of Nova's for a user.
"""

import json
import pathlib
import re
import unittest
from typing import Any

import webob
import yaml

from tests.functional import pool

FILES = pathlib.Path(__file__).parent.parent / 'api'
METHODS = ('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS')


def look_up(document: Any, path: str) -> Any:
    """Return what is at a dotted path, None where there is nothing."""
    for part in path.split('.') if path else ():
        if part == '#':
            document = len(document)
        elif isinstance(document, list):
            document = document[int(part)] if int(part) < len(document) else None
        else:
            document = document.get(part) if isinstance(document, dict) else None
    return document


def fill(value: Any, variables: dict[str, Any]) -> Any:
    """Replace ``${name}`` in every string."""
    if isinstance(value, str):
        if re.fullmatch(r'\$\{\w+\}', value):
            return variables[value[2:-1]]
        return re.sub(r'\$\{(\w+)\}', lambda found: str(variables[found[1]]), value)
    if isinstance(value, dict):
        return {fill(key, variables): fill(item, variables) for key, item in value.items()}
    return [fill(item, variables) for item in value] if isinstance(value, list) else value


class ApiTest(unittest.TestCase):
    maxDiff = None

    def run_file(self, path: pathlib.Path) -> None:
        served = pool.Pool()
        self.addCleanup(served.close)
        variables: dict[str, Any] = dict(served.variables)
        for step in yaml.safe_load(path.read_text()):
            with self.subTest(step['name']):
                self.run_step(served, {k: fill(v, variables) for k, v in step.items()}, variables)

    def run_step(self, served: pool.Pool, step: dict[str, Any], variables: dict[str, Any]) -> None:
        method = next(name for name in METHODS if name in step)
        request = webob.Request.blank(step[method], method=method)
        request.headers['X-Auth-Token'] = step.get('as', 'admin')
        if 'body' in step or 'raw' in step:
            request.content_type = 'application/json'
            request.body = step['raw'].encode() if 'raw' in step else json.dumps(step['body']).encode()
        request.headers.update(step.get('headers', {}))
        response = request.get_response(served.application)
        told = f'{response.status}\n{response.text}'
        self.assertEqual(step['status'], response.status_int, told)
        document = response.json if response.body else None
        if response.status_int >= 400 and step[method].startswith('/v2'):
            self.check_fault(response, document)
        elif response.status_int >= 400:
            self.check_error(response, document)
        for name, wanted in step.get('response_headers', {}).items():
            self.check(wanted, response.headers.get(name), f'header {name}: {told}')
        for where, wanted in step.get('json', {}).items():
            self.check(wanted, look_up(document, where), f'{where}: {told}')
        for name, where in step.get('save', {}).items():
            kind, _, header = where.partition(' ')
            variables[name] = response.headers[header] if kind == 'header' else look_up(document, where)

    def check(self, wanted: Any, found: Any, told: str) -> None:
        if isinstance(wanted, str) and len(wanted) > 1 and wanted[0] == wanted[-1] == '/':
            self.assertRegex(str(found), wanted[1:-1], told)
        else:
            self.assertEqual(wanted, found, told)

    def check_error(self, response: webob.Response, document: Any) -> None:
        self.assertEqual('application/json', response.content_type)
        self.assertEqual({'errors'}, set(document))
        for error in document['errors']:
            self.assertLessEqual({'status', 'code', 'title', 'detail', 'request_id'}, set(error))
            self.assertEqual(response.status_int, error['status'])
            self.assertEqual(response.headers['x-openstack-request-id'], error['request_id'])
            self.assertNotIn('Traceback', error['detail'])

    def check_fault(self, response: webob.Response, document: Any) -> None:
        """The form of Cyborg: JSON inside of JSON."""
        if response.status_int == 423:
            return
        self.assertEqual({'error_message'}, set(document))
        fault = json.loads(document['error_message'])
        self.assertEqual({'faultcode', 'faultstring', 'debuginfo'}, set(fault))
        self.assertEqual('Client' if response.status_int < 500 else 'Server', fault['faultcode'])
        self.assertNotIn('Traceback', fault['faultstring'])


def _test(path: pathlib.Path) -> Any:
    def test(self: ApiTest) -> None:
        self.run_file(path)
    test.__doc__ = f'tests/api/{path.name}'
    return test


for _file in sorted(FILES.glob('*.yaml')):
    setattr(ApiTest, f'test_{_file.stem}', _test(_file))
