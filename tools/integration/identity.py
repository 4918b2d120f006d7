# SPDX-License-Identifier: Apache-2.0
"""Keystone: its database and keys, then users, roles and the catalogue through its own API."""

import getpass
import json
import urllib.request
from typing import Any

from tools.integration import layout, uwsgi
from tools.integration.layout import DATA, ETC, PASSWORD, REGION, VENV
from tools.integration.process import run

_ETC = ETC / 'keystone'
_CONFIG = """\
[database]
connection = {database}
[token]
provider = fernet
expiration = 86400
[fernet_tokens]
key_repository = {data}/fernet
[fernet_receipts]
key_repository = {data}/fernet
[credential]
key_repository = {data}/credential
[identity]
# the least that bcrypt allows: the default costs 0.3 s a login here
password_hash_rounds = 4
[cache]
enabled = true
backend = dogpile.cache.memory
"""

KEYSTONE = uwsgi.service('keystone', 'keystone.wsgi.api:application', env={'OS_KEYSTONE_CONFIG_DIR': str(_ETC)},
                         path='/v3')

#: Projects beside ``admin`` and ``service``, and who is what in them.
PROJECTS = {
    'demo': {'demo': ('member', 'reader'), 'demo-reader': ('reader',), 'demo-manager': ('manager', 'member', 'reader')},
    'other': {'other': ('member', 'reader')},
}
#: name -> (type, url) of each entry of the catalogue; each service has a user of its name.
CATALOGUE = {
    'accelpool': ('accelpool', layout.url('accelpool', '/v1')),
    'accelerator': ('accelerator', layout.url('accelpool', '/v2')),
    'placement': ('placement', layout.url('placement')),
    'nova': ('compute', layout.url('nova', '/v2.1')),
    'glance': ('image', layout.url('glance')),
    'neutron': ('network', layout.url('neutron')),
}


def keystone() -> None:
    """Start Keystone; the first time make its schema, keys and administrator."""
    data = DATA / 'keystone'
    layout.write(_ETC / 'keystone.conf', _CONFIG.format(database=layout.database('keystone'), data=data))
    if not (data / 'done').exists():
        manage = (VENV / 'bin/keystone-manage', '--config-file', _ETC / 'keystone.conf')
        owner = ('--keystone-user', getpass.getuser(), '--keystone-group', getpass.getuser())
        for name in ('fernet', 'credential'):
            (data / name).mkdir(parents=True, mode=0o700, exist_ok=True)
            run(*manage, f'{name}_setup', *owner, log='keystone-manage')
        run(*manage, 'db_sync', log='keystone-manage')
        url = layout.url('keystone', '/v3')
        run(*manage, 'bootstrap', '--bootstrap-password', PASSWORD, '--bootstrap-region-id', REGION,
            *(part for kind in ('admin', 'internal', 'public') for part in (f'--bootstrap-{kind}-url', url)),
            log='keystone-manage')
        layout.write(data / 'done', '')
    KEYSTONE.start()
    catalogue()


class Api:
    """Keystone's administrator."""

    def __init__(self) -> None:
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        domain = {'id': 'default'}
        body = {'auth': {
            'identity': {'methods': ['password'], 'password': {
                'user': {'name': 'admin', 'domain': domain, 'password': PASSWORD}}},
            'scope': {'project': {'name': 'admin', 'domain': domain}}}}
        with self._open('POST', '/auth/tokens', body, {}) as answer:
            self._token = answer.headers['X-Subject-Token']

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        with self._open(method, path, body, {'X-Auth-Token': self._token}) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def find(self, collection: str, **wanted: str) -> dict[str, Any] | None:
        found = self.ask('GET', f'/{collection}')[collection]
        return next((one for one in found if all(one.get(key) == value for key, value in wanted.items())), None)

    def ensure(self, collection: str, key: dict[str, str], **rest: Any) -> dict[str, Any]:
        """Return the object that has these fields; make it if there is none."""
        noun = collection.removesuffix('s')
        found = self.find(collection, **key)
        made: dict[str, Any] = found or self.ask('POST', f'/{collection}', {noun: {**key, **rest}})[noun]
        return made

    def _open(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        data = None if body is None else json.dumps(body).encode()
        return self._opener.open(urllib.request.Request(
            layout.url('keystone', f'/v3{path}'), data, {'Content-Type': 'application/json', **headers}, method=method))


def catalogue() -> None:
    """Make projects, users, roles, services and endpoints; what exists is left."""
    done = DATA / 'keystone' / 'catalogue.json'
    wanted = json.dumps([PROJECTS, CATALOGUE])
    if done.exists() and done.read_text() == wanted:
        return
    api = Api()
    roles = {name: api.ensure('roles', {'name': name})['id']
             for name in ('admin', 'manager', 'member', 'reader', 'service')}
    service_users = {name: ('admin', 'service') for name in CATALOGUE}
    for project, users in {'service': service_users, **PROJECTS}.items():
        place = api.ensure('projects', {'name': project}, domain_id='default')['id']
        for name, theirs in users.items():
            user = api.ensure('users', {'name': name}, domain_id='default', password=PASSWORD)['id']
            for role in theirs:
                api.ask('PUT', f'/projects/{place}/users/{user}/roles/{roles[role]}')
    administrator = api.ensure('users', {'name': 'admin'})['id']
    api.ask('PUT', f'/system/users/{administrator}/roles/{roles["admin"]}')
    for name, (kind, url) in CATALOGUE.items():
        service = api.ensure('services', {'name': name, 'type': kind})['id']
        for interface in ('public', 'internal', 'admin'):
            api.ensure('endpoints', {'service_id': service, 'interface': interface, 'url': url, 'region_id': REGION})
    done.write_text(wanted)


def credentials(user: str, project: str = 'service') -> str:
    """Return the options with which a service's configuration authenticates."""
    return '\n'.join((
        'auth_type = password', f'auth_url = {layout.url("keystone", "/v3")}', f'username = {user}',
        f'password = {PASSWORD}', f'project_name = {project}', 'user_domain_name = Default',
        'project_domain_name = Default', f'region_name = {REGION}', ''))


def authtoken(user: str) -> str:
    """Return the section of keystonemiddleware."""
    return (f'[keystone_authtoken]\n{credentials(user)}www_authenticate_uri = {layout.url("keystone")}\n'
            'service_token_roles_required = true\nservice_token_roles = service\n')


def openrc(user: str = 'admin', project: str = 'admin') -> dict[str, str]:
    """Return the environment of a client."""
    return {
        'OS_AUTH_URL': layout.url('keystone', '/v3'), 'OS_USERNAME': user, 'OS_PASSWORD': PASSWORD,
        'OS_PROJECT_NAME': project, 'OS_USER_DOMAIN_NAME': 'Default', 'OS_PROJECT_DOMAIN_NAME': 'Default',
        'OS_IDENTITY_API_VERSION': '3', 'OS_REGION_NAME': REGION}
