# SPDX-License-Identifier: Apache-2.0
"""Where everything lies and listens.  Environment variables move it:

``ACCELPOOL_INTEGRATION_STATE``   directory of databases, configuration, logs, pids
``ACCELPOOL_INTEGRATION_BASE``    first port of a block of 100
``ACCELPOOL_INTEGRATION_VENV``    virtual environment of the OpenStack services
``ACCELPOOL_INTEGRATION_DATABASE``  which server accelpool uses: mariadb (default) or postgresql
"""

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[2]
BASE = int(os.environ.get('ACCELPOOL_INTEGRATION_BASE', '24000'))
#: Short, because Unix sockets lie below it, and traversable, because PostgreSQL gives up root's rights.
STATE = pathlib.Path(os.environ.get('ACCELPOOL_INTEGRATION_STATE', f'/tmp/accelpool-integration-{BASE}'))
VENV = pathlib.Path(os.environ.get('ACCELPOOL_INTEGRATION_VENV', ROOT / '.venv-openstack'))
#: The server that has accelpool's database; those of the OpenStack services are in MariaDB.
SERVER = os.environ.get('ACCELPOOL_INTEGRATION_DATABASE', 'mariadb')
#: The environment in which accelpool itself is installed: that of this interpreter.
OURS = pathlib.Path(sys.prefix)
RUN, LOG, ETC, DATA = (STATE / name for name in ('run', 'log', 'etc', 'data'))

HOST = '127.0.0.1'
REGION = 'RegionOne'
#: Of every user.  The services can be reached from this machine only.
PASSWORD = 'integration'
COMPUTES = ('compute1', 'compute2')
#: Network of the agents; each host has an address of its own.
AGENTS = {name: f'127.0.0.{11 + number}' for number, name in enumerate(COMPUTES)}

_PORTS = {
    'metrics-scheduler1': 41, 'metrics-scheduler2': 42, 'metrics-compute1': 43, 'metrics-compute2': 44,
    'mariadb': 6, 'postgresql': 32, 'keystone': 50, 'cyborg': 66, 'epmd': 69, 'amqps': 71, 'amqp': 72, 'amqp-nodes': 73,
    'nova': 74, 'nova-metadata': 75, 'placement': 78, 'ironic': 85, 'accelpool': 80, 'accelpool-gunicorn': 81,
    'accelpool-vendordata': 82, 'prometheus': 90, 'glance': 92, 'neutron': 96,
}


def port(name: str) -> int:
    return BASE + _PORTS[name]


def url(name: str, path: str = '') -> str:
    """Return the address of an HTTP service."""
    return f'http://{HOST}:{port(name)}{path}'


def bus(vhost: str = '', *, tls: bool = False) -> str:
    """Return oslo.messaging's URL of a virtual host of RabbitMQ; '' is that of the OpenStack services."""
    return f'rabbit://openstack:{PASSWORD}@{HOST}:{port("amqps" if tls else "amqp")}/{vhost}'


def database(name: str, kind: str = 'mariadb', driver: str = 'pymysql') -> str:
    """Return SQLAlchemy's URL of a database.

    :param driver: of MariaDB
    """
    if kind == 'postgresql':
        return f'postgresql+psycopg2://openstack:{PASSWORD}@{HOST}:{port(kind)}/{name}'
    return f'mysql+{driver}://openstack:{PASSWORD}@{HOST}:{port("mariadb")}/{name}?charset=utf8mb4'


def make() -> None:
    """Make the directories."""
    for path in (RUN, LOG, ETC, DATA):
        path.mkdir(parents=True, exist_ok=True)
    STATE.chmod(0o755)


def write(path: pathlib.Path, text: str, mode: int = 0o644) -> pathlib.Path:
    """Write a file, with its directories."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path
