# SPDX-License-Identifier: Apache-2.0
"""MariaDB and PostgreSQL with data directories of their own.

What is committed survives their death, but not the machine's: they do not wait for the disk.
"""

import contextlib
import functools
import os
import pwd

from tools.integration import layout
from tools.integration.layout import DATA, HOST, LOG, PASSWORD, RUN
from tools.integration.process import Failed, Service, listens, run

SOCKET = RUN / 'mariadb.sock'
#: Both servers have these for accelpool's tests; ``accelpool`` is that of the running services.
OURS = ('accelpool', 'accelpool_test')
OPENSTACK = ('keystone', 'placement', 'glance', 'nova_api', 'nova_cell0', 'nova_cell1', 'cyborg', 'ironic')
_BIN = '/usr/lib/postgresql/15/bin'

MARIADB = Service(
    'mariadb',
    ['mariadbd', '--no-defaults', f'--user={pwd.getpwuid(os.getuid()).pw_name}', f'--datadir={DATA}/mariadb',
     f'--socket={SOCKET}', f'--port={layout.port("mariadb")}', f'--bind-address={HOST}',
     f'--pid-file={RUN}/mariadb.own.pid', '--max-connections=1000', '--character-set-server=utf8mb4',
     '--skip-name-resolve', '--innodb-flush-log-at-trx-commit=2', '--innodb-flush-method=nosync',
     '--skip-innodb-doublewrite', '--innodb-buffer-pool-size=192M', '--performance-schema=OFF'],
    ready=lambda: SOCKET.exists() and listens(layout.port('mariadb')))


@functools.cache
def _postgres_user() -> int | None:
    """PostgreSQL refuses to run as root."""
    return pwd.getpwnam('postgres').pw_uid if os.getuid() == 0 else None


POSTGRESQL = Service(
    'postgresql',
    [f'{_BIN}/postgres', '-D', DATA / 'postgresql', '-p', str(layout.port('postgresql')), '-h', HOST, '-k', '',
     '-c', 'fsync=off', '-c', 'full_page_writes=off', '-c', 'max_connections=300'],
    ready=lambda: listens(layout.port('postgresql')), user=_postgres_user(), stop_signal=2)


def mariadb() -> None:
    """Start MariaDB; the first time make its databases."""
    data = DATA / 'mariadb'
    if not (data / 'mysql').is_dir():
        run('mariadb-install-db', '--no-defaults', f'--user={pwd.getpwuid(os.getuid()).pw_name}', f'--datadir={data}',
            '--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve', log='mariadb-install')
    MARIADB.start()
    sql = [f'CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET {"utf8mb4" if name in OURS else "utf8mb3"};'
           for name in (*OURS, *OPENSTACK)]
    sql += [f"CREATE USER IF NOT EXISTS openstack@'{HOST}' IDENTIFIED BY '{PASSWORD}';",
            f"GRANT ALL ON *.* TO openstack@'{HOST}';",
            f"REVOKE READ ONLY ADMIN ON *.* FROM openstack@'{HOST}';"]  # a server that is read-only is so for services
    as_root('\n'.join(sql))


def as_root(sql: str) -> str:
    """Have MariaDB's administrator say something; returns the answer, a row a line."""
    return run('mariadb', '--no-defaults', '-S', SOCKET, '-u', 'root', '-N', log='mariadb-install', stdin=sql)


def postgresql() -> None:
    """Start PostgreSQL; the first time make its databases."""
    data, user = DATA / 'postgresql', _postgres_user()
    if not (data / 'PG_VERSION').exists():
        data.mkdir(mode=0o700, exist_ok=True)
        password = layout.write(LOG / 'postgresql.password', PASSWORD)
        if user is not None:
            os.chown(data, user, user)
        run(f'{_BIN}/initdb', '-D', data, '-U', 'openstack', '-A', 'scram-sha-256', f'--pwfile={password}', '--no-sync',
            '--encoding=UTF8', '--locale=C.UTF-8', log='postgresql-install', user=user)
    POSTGRESQL.start()
    there = psql('SELECT datname FROM pg_database').split()
    for name in OURS:
        if name not in there:
            psql(f'CREATE DATABASE {name}')


def psql(*statements: str) -> str:
    """Have PostgreSQL's administrator say something; returns the answers, a row a line."""
    return run(f'{_BIN}/psql', '-h', HOST, '-p', str(layout.port('postgresql')), '-U', 'openstack', '-d', 'postgres',
               '-At', *(word for statement in statements for word in ('-c', statement)), log='postgresql-install',
               env={'PGPASSWORD': PASSWORD})


def refuse_writes() -> None:
    """Make accelpool's server one that others have just failed over to: all connections end, and it is read-only."""
    if layout.SERVER == 'postgresql':
        psql('ALTER SYSTEM SET default_transaction_read_only = on', 'SELECT pg_reload_conf()')
        psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'accelpool'")
        return
    as_root('SET GLOBAL read_only = 1;')
    for connection in as_root("SELECT id FROM information_schema.processlist WHERE user = 'openstack';").split():
        with contextlib.suppress(Failed):  # it has ended by itself
            as_root(f'KILL {connection};')


def take_writes() -> None:
    """Undo :func:`refuse_writes`."""
    if layout.SERVER == 'postgresql':
        psql('ALTER SYSTEM RESET default_transaction_read_only', 'SELECT pg_reload_conf()')
    else:
        as_root('SET GLOBAL read_only = 0;')
