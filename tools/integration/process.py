# SPDX-License-Identifier: Apache-2.0
"""Services as process groups that outlive their starter and are known by their pid files."""

import contextlib
import dataclasses
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence

from tools.integration import layout

#: Seconds that a service has to become ready, or to end after SIGTERM.
READY, END = 120, 15
#: Line of a log before what a new process says.
MARK = '== started =='


class Failed(Exception):
    """A service or a command did not do what it should; the message has the end of its log."""


@dataclasses.dataclass(frozen=True)
class Service:
    """How a service is started, and how one sees that it works."""

    name: str
    command: Sequence[str | pathlib.Path]
    ready: Callable[[], bool] = lambda: True
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    user: int | None = None
    #: What ends it gracefully.
    stop_signal: int = signal.SIGTERM

    @property
    def log(self) -> pathlib.Path:
        return layout.LOG / f'{self.name}.log'

    @property
    def pid(self) -> int | None:
        """The leader of its process group; None when it does not run."""
        try:
            pid = int(self._pid_file.read_text())
            state = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(') ')[2][0]
        except (OSError, ValueError, IndexError):
            return None
        return None if state == 'Z' else pid

    def start(self, *, wait: bool = True, prefix: Sequence[str] = ()) -> None:
        """Start it if it does not run.

        :param wait: until it is ready
        :param prefix: a command that runs it, such as ``ip netns exec <name>``
        :raises Failed: it ended, or is not ready in time
        """
        if self.pid is None:
            identity = {} if self.user is None else {'user': self.user, 'group': self.user, 'extra_groups': []}
            with self.log.open('ab') as log:
                log.write(f'{MARK}\n'.encode())
                log.flush()
                started = subprocess.Popen(
                    [*prefix, *map(str, self.command)], env=environment() | self.env, stdin=subprocess.DEVNULL,
                    stdout=log, stderr=log, start_new_session=True, cwd='/', **identity)
            self._pid_file.write_text(str(started.pid))
            _children[started.pid] = started
        if wait:
            self.wait_ready()

    def wait_ready(self, seconds: float = READY) -> None:
        """:raises Failed: it ended, or is not ready in time"""
        def look() -> bool:
            if self.pid is None:
                raise Failed(f'{self.name} has ended:\n{tail(self.log)}')
            return self.ready()
        wait_for(look, f'{self.name} to be ready', seconds, lambda: tail(self.log))

    def stop(self) -> None:
        """End it; what does not end in time is killed."""
        if (pid := self.pid) is None:
            return
        os.kill(pid, self.stop_signal)
        deadline = time.monotonic() + END
        while self.pid is not None and time.monotonic() < deadline:
            _reap(pid)
            time.sleep(0.05)
        self.kill(pid)

    def kill(self, pid: int | None = None) -> None:
        """``kill -9`` of all its processes."""
        pid = pid or self.pid
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            while True:  # until the last one is gone, and with it what it listened on
                os.killpg(pid, signal.SIGKILL)
                _reap(pid)
                time.sleep(0.01)
        self._pid_file.unlink(missing_ok=True)

    @property
    def _pid_file(self) -> pathlib.Path:
        return layout.RUN / f'{self.name}.pid'


#: What this process has started: to be waited for when it ends.
_children: dict[int, subprocess.Popen[bytes]] = {}


def _reap(pid: int) -> None:
    if pid in _children:
        _children[pid].poll()


def environment() -> dict[str, str]:
    """Return the environment of services and commands: nothing of the caller's session, and no proxy."""
    kept = {name: os.environ[name] for name in ('HOME', 'LANG', 'TMPDIR', 'USER') if name in os.environ}
    path = f'{layout.VENV}/bin:{os.environ.get("PATH", "")}:/usr/sbin:/sbin'
    return {**kept, 'PATH': path, 'PYTHONWARNINGS': 'ignore', 'PYTHONDONTWRITEBYTECODE': '1', 'NO_PROXY': '*'}


def run(*command: str | pathlib.Path, log: str, env: dict[str, str] | None = None, user: int | None = None,
        stdin: str = '') -> str:
    """Run a command to its end; returns its output.

    :param log: name of the file that keeps what it says
    :raises Failed: it failed
    """
    identity = {} if user is None else {'user': user, 'group': user, 'extra_groups': []}
    done = subprocess.run(
        list(map(str, command)), env=environment() | (env or {}), input=stdin, capture_output=True, text=True, cwd='/',
        **identity)
    path = layout.LOG / f'{log}.log'
    with path.open('a') as file:
        file.write(f'$ {" ".join(map(str, command))}\n{done.stderr}{done.stdout}')
    if done.returncode:
        raise Failed(f'{command[0]} failed with {done.returncode}:\n{tail(path)}')
    return done.stdout


def wait_for(look: Callable[[], bool], what: str, seconds: float = READY,
             explain: Callable[[], str] = lambda: '') -> None:
    """:raises Failed: it did not come true in time"""
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            raise Failed(f'waited {seconds} s for {what}\n{explain()}')
        time.sleep(0.1)


def tail(path: pathlib.Path, lines: int = 20) -> str:
    """Return the end of a log."""
    if not path.exists():
        return ''
    return '\n'.join(path.read_text(errors='replace').splitlines()[-lines:])


def listens(port: int, host: str = layout.HOST) -> bool:
    try:
        socket.create_connection((host, port), 1).close()
    except OSError:
        return False
    return True


def answers(url: str) -> bool:
    """Whether an HTTP service gives any answer below 500."""
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5).close()
    except urllib.error.HTTPError as refused:
        return refused.code < 500
    except OSError:
        return False
    return True


def says(path: pathlib.Path, text: str) -> bool:
    """Whether a service has logged a text since it was started."""
    return path.exists() and text in path.read_text(errors='replace').rpartition(MARK)[2]
