# SPDX-License-Identifier: Apache-2.0
"""A service with an account: an application credential of Keystone, or the user of a standalone service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelpool.runtime.guest import config, remote

SERVICE_TYPE = 'accelpool'


class Account:
    """Calls the API as somebody; a token that has expired is replaced on the way."""

    def __init__(self, options: Mapping[str, str], ca_file: str | None) -> None:
        self._options = options
        self._ca_file = ca_file
        self._endpoint = ''
        self._headers: dict[str, str] = {}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """:raises Invalid, Unreachable, Refused:"""
        for last in (False, True):
            if not self._headers:
                self._log_in()
            try:
                return remote.call(method, f'{self._endpoint}/v1{path}', body=body, ca_file=self._ca_file,
                                   headers={**self._headers, **headers}).json
            except remote.Refused as refusal:
                self._headers = {}
                if last or refusal.status != 401:
                    raise
        raise AssertionError('unreachable')

    def _log_in(self) -> None:
        options = self._options
        if 'auth_url' not in options:
            self._endpoint = _root(options['endpoint'])
            self._headers = remote.basic(options.get('username', ''), config.secret(options['password_file']))
            return
        answer = remote.call('POST', options['auth_url'].rstrip('/') + '/auth/tokens', ca_file=self._ca_file, body={
            'auth': {'identity': {'methods': ['application_credential'], 'application_credential': {
                'id': options['application_credential_id'],
                'secret': config.secret(options['application_credential_secret_file'])}}}})
        self._endpoint = _root(options.get('endpoint') or self._find(answer.json['token'].get('catalog', [])))
        self._headers = {'X-Auth-Token': answer.headers['X-Subject-Token']}

    def _find(self, catalog: list[dict[str, Any]]) -> str:
        region, interface = self._options.get('region'), self._options.get('interface', 'public')
        for service in catalog:
            for endpoint in service['endpoints'] if service['type'] == SERVICE_TYPE else ():
                if endpoint['interface'] == interface and region in (None, endpoint['region']):
                    return str(endpoint['url'])
        raise config.Invalid(f'the catalogue has no {interface} endpoint of a service of type {SERVICE_TYPE}')


def _root(url: str) -> str:
    """Return an endpoint without the version that some catalogues have in it."""
    url = url.rstrip('/')
    return url[:-len('/v1')] if url.endswith('/v1') else url
