# SPDX-License-Identifier: Apache-2.0
"""Placement, Glance and Nova (cells v2, fake hypervisors), and a stand-in for Neutron."""

import pathlib
import shutil
import sys
from collections.abc import Callable

from keystoneauth1 import session
from keystoneauth1.identity import v3

from tools.integration import identity, layout, process, uwsgi
from tools.integration.layout import COMPUTES, DATA, ETC, LOG, PASSWORD, VENV
from tools.integration.process import Service, run

_PLACEMENT, _GLANCE, _NOVA = (ETC / name for name in ('placement', 'glance', 'nova'))
_NOVA_MANAGE = (VENV / 'bin/nova-manage', '--config-file', _NOVA / 'nova.conf')
#: Dynamic vendordata.
VENDORDATA = layout.url('accelpool-vendordata')

PLACEMENT = uwsgi.service('placement', 'placement.wsgi.api:application',
                          env={'OS_PLACEMENT_CONFIG_DIR': str(_PLACEMENT)})
GLANCE = uwsgi.service('glance', 'glance.wsgi.api:application', env={'OS_GLANCE_CONFIG_DIR': str(_GLANCE)})
NOVA = uwsgi.service('nova', 'nova.wsgi.osapi_compute:application', env={'OS_NOVA_CONFIG_DIR': str(_NOVA)})
METADATA = uwsgi.service('nova-metadata', 'nova.wsgi.metadata:application', env={'OS_NOVA_CONFIG_DIR': str(_NOVA)})
NEUTRON = Service(
    'neutron', [sys.executable, pathlib.Path(__file__).with_name('neutron_stub.py'), str(layout.port('neutron'))],
    ready=lambda: process.listens(layout.port('neutron')))


def _daemon(name: str, config: str = 'nova', suffix: str = '', ready: str = '') -> Service:
    log = LOG / f'{name}{suffix}.log'
    return Service(f'{name}{suffix}', [VENV / 'bin' / name, '--config-file', _NOVA / f'{config}.conf'],
                   ready=lambda: not ready or process.says(log, ready))


CONDUCTOR = _daemon('nova-conductor')
SCHEDULER = _daemon('nova-scheduler')
HYPERVISORS = {host: _daemon('nova-compute', host, f'-{host}', 'Looking for unclaimed instances') for host in COMPUTES}

_NOVA_CONFIG = """\
[DEFAULT]
transport_url = {bus}
host = {host}
my_ip = 127.0.0.1
state_path = {state}
compute_driver = fake.FakeDriverWithoutFakeNodes
ram_allocation_ratio = 1.0
disk_allocation_ratio = 100.0
allow_resize_to_same_host = true
vif_plugging_is_fatal = false
vif_plugging_timeout = 0
arq_binding_timeout = 60
graceful_shutdown_timeout = 1
report_interval = 5
osapi_compute_workers = 1
[api]
auth_strategy = keystone
vendordata_providers = StaticJSON,DynamicJSON
vendordata_dynamic_targets = accelpool@{vendordata}
[vendordata_dynamic_auth]
{auth}[api_database]
connection = {api_database}
[database]
connection = {database}
[conductor]
workers = 1
[scheduler]
workers = 1
discover_hosts_in_cells_interval = 5
[cyborg]
{auth}service_type = accelerator
[glance]
{auth}api_servers = {glance}
[placement]
{placement_auth}[neutron]
{auth}endpoint_override = {neutron}
service_metadata_proxy = true
metadata_proxy_shared_secret = {password}
[service_user]
send_service_user_token = true
{auth}[vnc]
enabled = false
[spice]
enabled = false
[notifications]
notification_format = versioned
notify_on_state_change = vm_state
[oslo_messaging_notifications]
driver = messagingv2
[oslo_concurrency]
lock_path = {state}/locks
[wsgi]
api_paste_config = {etc}/api-paste.ini
{authtoken}"""


def placement() -> None:
    """Make Placement's configuration and schema, and start it."""
    layout.write(_PLACEMENT / 'placement.conf', (
        f'[api]\nauth_strategy = keystone\n[placement_database]\nconnection = {layout.database("placement")}\n'
        f'{identity.authtoken("placement")}'))
    once('placement', lambda: run(VENV / 'bin/placement-manage', '--config-file',
                                  _PLACEMENT / 'placement.conf', 'db', 'sync', log='placement-manage'))
    PLACEMENT.start()


def glance() -> None:
    """Make Glance's configuration and schema, and start it."""
    stores = DATA / 'glance'
    for name in ('images', 'tasks', 'staging'):
        (stores / name).mkdir(parents=True, exist_ok=True)
    paste = _GLANCE / 'glance-api-paste.ini'
    layout.write(paste, (VENV / 'etc/glance/glance-api-paste.ini').read_text())
    layout.write(_GLANCE / 'glance-api.conf', (
        f'[DEFAULT]\nenabled_backends = files:file\nenabled_import_methods = []\n'
        f'worker_self_reference_url = {layout.url("glance")}\n'
        f'[database]\nconnection = {layout.database("glance")}\n[glance_store]\ndefault_backend = files\n'
        f'[files]\nfilesystem_store_datadir = {stores}/images\n'
        f'[os_glance_tasks_store]\nfilesystem_store_datadir = {stores}/tasks\n'
        f'[os_glance_staging_store]\nfilesystem_store_datadir = {stores}/staging\n'
        f'[paste_deploy]\nflavor = keystone\nconfig_file = {paste}\n{identity.authtoken("glance")}'))
    once('glance', lambda: run(VENV / 'bin/glance-manage', '--config-file', _GLANCE / 'glance-api.conf', 'db_sync',
                               log='glance-manage'))
    GLANCE.start()


def neutron() -> None:
    NEUTRON.start()


def nova_schema() -> None:
    """Make Nova's configuration, databases and cells."""
    _NOVA.mkdir(parents=True, exist_ok=True)
    shutil.copy(VENV / 'etc/nova/api-paste.ini', _NOVA)
    for host, name in (('controller', 'nova'), *((host, host) for host in COMPUTES)):
        state = DATA / 'nova' / host
        state.mkdir(parents=True, exist_ok=True)
        layout.write(_NOVA / f'{name}.conf', _NOVA_CONFIG.format(
            bus=layout.bus(), host=host, state=state, etc=_NOVA, vendordata=VENDORDATA, password=PASSWORD,
            api_database=layout.database('nova_api'), database=layout.database('nova_cell1'),
            auth=identity.credentials('nova'), placement_auth=identity.credentials('placement'),
            glance=layout.url('glance'), neutron=layout.url('neutron'), authtoken=identity.authtoken('nova')))

    def make() -> None:
        run(*_NOVA_MANAGE, 'api_db', 'sync', log='nova-manage')
        cells = run(*_NOVA_MANAGE, 'cell_v2', 'list_cells', log='nova-manage')
        if ' cell0 ' not in cells:
            run(*_NOVA_MANAGE, 'cell_v2', 'map_cell0', '--database_connection', layout.database('nova_cell0'),
                log='nova-manage')
        run(*_NOVA_MANAGE, 'db', 'sync', log='nova-manage')
        if ' cell1 ' not in cells:
            run(*_NOVA_MANAGE, 'cell_v2', 'create_cell', '--name', 'cell1', log='nova-manage')

    once('nova', make)


def nova() -> None:
    """Start Nova; ready when both hypervisors are in their cell and in Placement."""
    for service in (CONDUCTOR, SCHEDULER, NOVA, METADATA, *HYPERVISORS.values()):
        service.start(wait=False)
    for service in (NOVA, *HYPERVISORS.values()):
        service.wait_ready()

    def discover() -> None:
        def there() -> bool:
            run(*_NOVA_MANAGE, 'cell_v2', 'discover_hosts', log='nova-manage')
            hosts = run(*_NOVA_MANAGE, 'cell_v2', 'list_hosts', log='nova-manage')
            return all(f' {host} ' in hosts for host in COMPUTES)
        process.wait_for(there, 'hypervisors in the cell')
        process.wait_for(lambda: _hosts_offered() == len(COMPUTES), 'hypervisors in Placement')

    once('nova-hosts', discover)


def _hosts_offered() -> int:
    """Return how many hosts Placement has for an instance."""
    who = identity.openrc()
    keystone = session.Session(v3.Password(
        auth_url=who['OS_AUTH_URL'], username=who['OS_USERNAME'], password=who['OS_PASSWORD'],
        project_name=who['OS_PROJECT_NAME'], user_domain_name='Default', project_domain_name='Default'))
    found = keystone.get(layout.url('placement', '/allocation_candidates?resources=VCPU:1'),
                         headers={'OpenStack-API-Version': 'placement 1.39'})
    return len(found.json()['allocation_requests'])


def once(name: str, make: Callable[[], object]) -> None:
    """Do it the first time only."""
    done = DATA / f'{name}.done'
    if not done.exists():
        make()
        done.touch()
