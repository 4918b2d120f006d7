# SPDX-License-Identifier: Apache-2.0
"""Cyborg with its fake driver on one host: what accelpool is measured against.  It needs no Nova, only Placement."""

import functools
import shutil

from tools.integration import compute, identity, layout, process, uwsgi
from tools.integration.layout import DATA, ETC, LOG, VENV
from tools.integration.process import Service, run

#: Its agent hangs its devices below this host's provider.
HOST = 'cyborg1'

_ETC = ETC / 'cyborg'
_CONFIG = """\
[DEFAULT]
transport_url = {bus}
host = {host}
state_path = {state}
[agent]
enabled_drivers = fake_driver
resource_provider_name = {host}
[api]
api_paste_config = {etc}/api-paste.ini
[database]
connection = {database}
[service_catalog]
{auth}[placement]
{auth}[nova]
{auth}endpoint_override = {nova}
[service_user]
send_service_user_token = true
{auth}[oslo_concurrency]
lock_path = {state}/locks
[oslo_messaging_notifications]
driver = noop
{authtoken}"""


def _daemon(name: str, ready: str) -> Service:
    return Service(name, [VENV / 'bin' / name, '--config-file', _ETC / 'cyborg.conf'],
                   ready=functools.partial(process.says, LOG / f'{name}.log', ready))


API = uwsgi.service('cyborg', 'cyborg.wsgi.api:application', env={}, processes=2, path='/v2',
                    pyargv=f'--config-file {_ETC}/cyborg.conf')
CONDUCTOR = _daemon('cyborg-conductor', 'Created RPC server for service cyborg-conductor')
AGENT = _daemon('cyborg-agent', 'Created RPC server for service cyborg-agent')
SERVICES = (CONDUCTOR, API, AGENT)


def cyborg() -> None:
    """Make Cyborg's configuration, schema and root provider, and start it.

    Nova's endpoint is whatever listens on Nova's port.
    """
    state = DATA / 'cyborg'
    state.mkdir(parents=True, exist_ok=True)
    layout.write(_ETC / 'cyborg.conf', _CONFIG.format(
        bus=layout.bus(), host=HOST, state=state, etc=_ETC, database=layout.database('cyborg'),
        auth=identity.credentials('accelerator'), nova=layout.url('nova', '/v2.1'),
        authtoken=identity.authtoken('accelerator')))
    shutil.copy(VENV / 'etc/cyborg/api-paste.ini', _ETC)
    compute.once('cyborg', lambda: run(VENV / 'bin/cyborg-dbsync', '--config-file', _ETC / 'cyborg.conf', 'upgrade',
                                       log='cyborg-dbsync'))
    compute.once('cyborg-provider', lambda: run(
        VENV / 'bin/openstack', 'resource', 'provider', 'create', HOST, log='cyborg-provider', env=identity.openrc()))
    for service in SERVICES:
        service.start()
