# SPDX-License-Identifier: Apache-2.0
"""The whole service in one process: api, scheduler and a conductor for each host as threads, an agent process
for each host beside them.

Everything it keeps is in one directory, which one service at a time may use.  All of it survives ``kill -9``: the
agents die with the process, and the conductors of the next one find what there was.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import secrets
import socket
import sys
import threading
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging

from accelpool import errors, units
from accelpool.api import app, auth
from accelpool.cmd import api as api_command
from accelpool.conductor.agentprocess import AgentProcess
from accelpool.conductor.service import Conductor
from accelpool.conf import mock as mock_options
from accelpool.db import migration, profile
from accelpool.db import session as db_session
from accelpool.rpc import transport
from accelpool.scheduler.runner import Runner

LOG = logging.getLogger(__name__)

USER = 'admin'
#: Random bits of the password.  With so many the digest need not be slow (see accelpool.api.auth).
PASSWORD_BYTES = 16
#: Seconds to wait for the agents before the service calls itself ready all the same.
AGENTS_READY = 15.0
#: Devices of a host without a configuration: something to try.
DEFAULT_DEVICES = ['gpu-emu:30GiB:1', 'gpu-emu-b:16GiB:1']
#: Longest path of a unix socket: sun_path of struct sockaddr_un (unix(7)) with its final zero byte.
LONGEST_SOCKET = 107


def default_state_dir() -> pathlib.Path:
    """Return ``ACCELPOOL_HOME``, or its default."""
    named = os.environ.get('ACCELPOOL_HOME')
    return pathlib.Path(named) if named else pathlib.Path.home() / '.local/state/accelpool'


class Embedded:
    """Construct it after the configuration has been read; then :meth:`start`, and :meth:`stop` at the end."""

    def __init__(self, state_dir: pathlib.Path) -> None:
        self._dir = state_dir.absolute()
        self._hosts: list[str] = cfg.CONF.embedded.hosts
        self._stack = contextlib.ExitStack()
        self.url = ''
        self.password = ''

    def start(self) -> None:
        """Start everything and write ``endpoint.json``; on failure nothing is left running.

        :raises Conflict: another service uses the state directory
        :raises InvalidRequest: the configuration cannot work; the message says which option
        """
        with contextlib.ExitStack() as undo:
            undo.callback(self.stop)
            self._prepare_directory()
            self._configure()
            db_session.configure(cfg.CONF.database.connection)
            migration.sync(db_session.engine())
            _create_profiles()
            conductors = self._start_hosts()
            self._start(Runner('embedded'))
            self._start_api()
            for conductor in conductors:
                _wait_for_agent(conductor)
            self._write('endpoint.json', json.dumps(
                {'url': self.url, 'username': USER, 'password_file': str(self._dir / 'password'), 'pid': os.getpid()}))
            undo.pop_all()

    def stop(self) -> None:
        """Stop everything that was started, last first."""
        self._stack.close()

    def _start(self, part: Any) -> None:
        part.start()
        self._stack.callback(part.stop)

    def _prepare_directory(self) -> None:
        self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._dir.chmod(0o700)
        lock = self._stack.enter_context((self._dir / 'lock').open('a+'))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise errors.Conflict(f'Another accelpool-all uses {self._dir}; stop it, or choose another directory with '
                                  'ACCELPOOL_HOME or --state-dir') from None
        (self._dir / 'log').mkdir(exist_ok=True)
        for host in self._hosts:
            longest = self._host_dir(host) / 'agent.sock'
            if len(os.fsencode(longest)) > LONGEST_SOCKET:
                raise errors.InvalidRequest(
                    f'{longest} is too long for a unix socket ({LONGEST_SOCKET} bytes); '
                    'choose a shorter ACCELPOOL_HOME')
            self._host_dir(host).mkdir(mode=0o700, parents=True, exist_ok=True)

    def _configure(self) -> None:
        """Set what is not for the operator to choose here."""
        conf = cfg.CONF
        transport.use_memory()
        conf.set_override('connection', f'sqlite:///{self._dir}/accelpool.sqlite', group='database')
        conf.set_override('name', 'embedded', group='api')
        conf.set_override('auth_strategy', 'http_basic', group='api')
        conf.set_override('destination', 'none', group='audit')
        conf.set_override('htpasswd_file', str(self._dir / 'htpasswd'), group='api')
        self.password = self._read('password') or secrets.token_hex(PASSWORD_BYTES)
        self._write('password', self.password)
        auth.write_htpasswd(self._dir / 'htpasswd', USER, self.password)
        if not any(mock_options.for_host(host)[0] for host in self._hosts):
            conf.set_override('devices', DEFAULT_DEVICES, group=mock_options.GROUP)

    def _start_hosts(self) -> list[Conductor]:
        conductors = []
        touched = _mib('embedded', 'touched_memory', cfg.CONF.embedded.touched_memory)
        for number, host in enumerate(self._hosts):
            place = self._host_dir(host)
            self._start(AgentProcess(host, [
                '--host', host, '--state-dir', str(place), '--touched-limit-mib', str(touched),
                # 127.0.0.1 is the API's; every address in 127.0.0.0/8 is this machine's own.
                '--listen', f'tcp://127.0.0.{number + 2}:0', *(['--tls-loopback'] if cfg.CONF.embedded.tls else []),
            ], self._dir / 'log' / f'agent-{host}.log', os.getpid()))
        for host in self._hosts:
            conductor = Conductor(host, self._host_dir(host), self._host_dir(host) / 'agent.sock')
            self._start(conductor)
            conductors.append(conductor)
        if cfg.CONF.conductor.metrics_port:
            from accelpool.conductor import metrics  # 5 MiB that only this option needs
            from accelpool.metrics import listener

            listener.serve([metrics.Collector(*pair) for pair in zip(self._hosts, conductors, strict=True)],
                           cfg.CONF.conductor.metrics_host, cfg.CONF.conductor.metrics_port)
        return conductors

    def _start_api(self) -> None:
        application = app.make_app()
        fixed = cfg.CONF.embedded.port
        for port in [fixed] if fixed else [self._former_port() or _free_port(), *(_free_port() for _ in range(3))]:
            server = api_command.make_server(application, '127.0.0.1', port)
            try:
                server.prepare()
                break
            except OSError as error:
                failure = error
        else:
            raise errors.InvalidRequest(f'[embedded] port: cannot listen on 127.0.0.1:{port}: {failure}', field='port')
        self.url = 'http://{}:{}'.format(*server.bind_addr[:2])
        thread = threading.Thread(target=server.serve, name='api', daemon=True)
        self._stack.callback(thread.join)
        self._stack.callback(server.stop)
        thread.start()

    def _former_port(self) -> int:
        """Return the port of the last run, so that clients find the service again; 0 when there was none."""
        try:
            return int(json.loads(self._read('endpoint.json'))['url'].rpartition(':')[2])
        except (ValueError, KeyError, TypeError):
            return 0

    def _host_dir(self, host: str) -> pathlib.Path:
        return self._dir / 'hosts' / host

    def _read(self, name: str) -> str:
        try:
            return (self._dir / name).read_text().strip()
        except FileNotFoundError:
            return ''

    def _write(self, name: str, content: str) -> None:
        """Replace a file in one step, readable by the owner alone."""
        fresh = self._dir / f'{name}.new'
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 'w') as file:
            file.write(content + '\n')
        fresh.replace(self._dir / name)


def _free_port() -> int:
    """Return a port that is free now.

    The server could take one itself (port 0), but would do so without SO_REUSEADDR: then its next run could not
    have the same port while connections of this one are in TIME_WAIT.
    """
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port: int = probe.getsockname()[1]
        return port


def _mib(group: str, option: str, text: str) -> int:
    try:
        return units.mib(text)
    except ValueError as error:
        raise errors.InvalidRequest(f'[{group}] {option}: {error}', field=option) from error


def _create_profiles() -> None:
    """Create the profiles of ``[embedded] profiles`` that do not exist yet."""
    for entry in cfg.CONF.embedded.profiles:
        try:
            name, count, compute, memory = (part.strip() for part in entry.split(':'))
            values = {'count': int(count), 'compute': int(compute), 'memory': units.mib(memory)}
        except ValueError as error:
            raise errors.InvalidRequest(
                f'[embedded] profiles: {entry!r} is not name:count:compute:memory, such as small:1:30:512MiB: {error}',
                field='profiles') from error
        with contextlib.suppress(errors.Conflict), db_session.writer() as session:
            profile.create(session, name=name, **values)


def _wait_for_agent(conductor: Conductor) -> None:
    if not conductor.wait_for_agent(AGENTS_READY):
        print('accelpool: an agent does not answer; see the log directory', file=sys.stderr)
