# SPDX-License-Identifier: Apache-2.0
"""accelpool's own services: api behind uWSGI, two schedulers, a conductor and an agent for each host."""

import functools
import os
import pathlib

from tools.integration import bus, identity, layout, process, uwsgi
from tools.integration.layout import AGENTS, DATA, ETC, LOG, OURS
from tools.integration.process import Service, run

_ETC = ETC / 'accelpool'
CONFIG = _ETC / 'accelpool.conf'
SCHEDULERS = ('scheduler1', 'scheduler2')
#: Emulated devices of each host: two that are shared, two that instances on it get into their guests.
DEVICES = ('gpu-emu:30GiB:1:numa=0:fabric=rack-1, gpu-emu-b:16GiB:1:numa=1:fabric=rack-1, '
           'gpu-pci:8GiB:1:attach=pci, gpu-mdev:16GiB:1:attach=mdev')
#: Label of the second network on which every agent listens.
DATA_NETWORK = 'data'
_ENV = {'OS_ACCELPOOL_CONFIG_DIR': str(_ETC), 'PYTHONPATH': str(layout.ROOT)}
if 'ACCELPOOL_NATIVE' in os.environ:
    _ENV['ACCELPOOL_NATIVE'] = os.environ['ACCELPOOL_NATIVE']

#: Where the processes of the API add up their metrics.
_METRICS = DATA / 'accelpool/metrics'
API = uwsgi.service('accelpool', 'accelpool.wsgi.api:application',
                    env=_ENV | {'PROMETHEUS_MULTIPROC_DIR': str(_METRICS)}, venv=OURS, processes=2, threads=8,
                    path='/v1', preload=True)
VENDORDATA = uwsgi.service('accelpool-vendordata', 'accelpool.wsgi.vendordata:application', env=_ENV, venv=OURS)
GUNICORN = Service(
    'accelpool-gunicorn',
    [OURS / 'bin/gunicorn', '--bind', f'{layout.HOST}:{layout.port("accelpool-gunicorn")}', '--workers', '2',
     '--threads', '8', '--preload', '--no-control-socket', 'accelpool.wsgi.api:application'],
    ready=lambda: process.answers(layout.url('accelpool-gunicorn', '/v1')), env=_ENV)


def _daemon(executable: str, name: str, ready: str = '') -> Service:
    log = LOG / f'accelpool-{name}.log'
    module = executable.removeprefix('accelpool-')
    return Service(
        f'accelpool-{name}', [OURS / 'bin/python', '-m', f'accelpool.cmd.{module}', '--config-file', CONFIG,
                              '--config-file', _ETC / f'{name}.conf'],
        ready=lambda: not ready or process.says(log, ready), env=_ENV)


def state(host: str) -> pathlib.Path:
    """Return the state directory of a host."""
    return DATA / 'accelpool' / host


SCHEDULER = {name: _daemon('accelpool-scheduler', name, 'serves') for name in SCHEDULERS}
CONDUCTOR = {host: _daemon('accelpool-conductor', f'conductor-{host}', f'The agent of {host} answers')
             for host in AGENTS}
AGENT = {
    host: Service(
        f'accelpool-agent-{host}',
        [OURS / 'bin/python', '-m', 'accelpool.cmd.agent', '--host', host, '--state-dir', state(host),
         '--listen', f'tcp://{address}:0', '--listen', f'tcp://{address}:0,{DATA_NETWORK}'],
        ready=functools.partial(process.says, LOG / f'accelpool-agent-{host}.log', f'The agent of {host} serves'),
        env=_ENV)
    for host, address in AGENTS.items()}
SERVICES = (API, *SCHEDULER.values(), *CONDUCTOR.values(), *AGENT.values())

_CONFIG = """\
[DEFAULT]
transport_url = {bus}
log_date_format = %H:%M:%S
[oslo_messaging_rabbit]
rabbit_quorum_queue = true
[api]
auth_strategy = keystone
[database]
connection = {database}
[enrolment]
url = {url}
[placement]
{credentials}[nova]
{credentials}notification_url = {nova_bus}?rabbit_quorum_queue=false
{authtoken}"""
#: What tests want to see, and see soon.
_TESTED = """\
[api]
metrics = true
[oslo_messaging_notifications]
driver = messagingv2
[scheduler]
down_after = 20
[placement]
interval = 1
[nova]
compare_interval = 5
"""


def configure(*, tested: bool = True) -> None:
    """Write the configuration of all services.

    :param tested: False: as in a deployment, with the database driver in C
    """
    layout.write(CONFIG, _CONFIG.format(
        bus=layout.bus(bus.VHOST), credentials=identity.credentials('accelpool'),
        database=layout.database('accelpool', layout.SERVER, 'pymysql' if tested else 'mysqldb'),
        authtoken=identity.authtoken('accelpool'), nova_bus=layout.bus(), url=layout.url('accelpool'))
        + (_TESTED if tested else ''))
    for name in SCHEDULERS:
        metrics = layout.port(f'metrics-{name}')
        layout.write(_ETC / f'{name}.conf', f'[scheduler]\nhost = {name}\nmetrics_port = {metrics}\n')
    for host in AGENTS:
        layout.write(_ETC / f'conductor-{host}.conf', (
            f'[conductor]\nhost = {host}\nstate_dir = {state(host)}\nmetrics_port = {layout.port(f"metrics-{host}")}\n'
            f'[agent]\ncontrol_socket = {state(host)}/agent.sock\n'
            f'[mock:{host}]\ndevices = {DEVICES}\n'))
        state(host).mkdir(parents=True, exist_ok=True)
    _METRICS.mkdir(parents=True, exist_ok=True)


def accelpool_schema() -> None:
    configure()
    run(OURS / 'bin/python', '-m', 'accelpool.cmd.manage', '--config-file', CONFIG, 'db', 'sync',
        log='accelpool-manage', env=_ENV)


def accelpool() -> None:
    """Start everything; ready when the API answers and all agents listen."""
    for service in SERVICES:
        service.start(wait=False)
    for service in SERVICES:
        service.wait_ready()


def vendordata() -> None:
    """Start what tells guests of instances where to enrol."""
    VENDORDATA.start()
