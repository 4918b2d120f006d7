# SPDX-License-Identifier: Apache-2.0
"""A guest for tests: its directories, its configuration, its keeper's process, and a metadata service."""

import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

ROOT = pathlib.Path(__file__).parents[2]
#: Seconds after which something that should have happened has not.
PATIENCE = 30.0


def until(condition: Callable[[], Any], what: str = '') -> Any:
    """Wait until a condition holds, and return what it returned."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f'still not: {what or condition}')
        time.sleep(0.02)
    return found


class Metadata:
    """Answers as Nova's metadata service does; ``document`` is vendor_data2.json, None while it is down."""

    def __init__(self) -> None:
        outer = self
        self.document: Any = None

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.path == '/openstack/latest/vendor_data2.json' and outer.document is not None
                body = json.dumps(outer.document if known else {}).encode()
                self.send_response(200 if known else 404)
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self._server.server_port}'
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Guest:
    """One machine's ``accelpool-guest``; :meth:`start` and :meth:`kill` as often as wanted."""

    def __init__(self, place: pathlib.Path, metadata: str = '', sections: str = '') -> None:
        self.place = place
        self.state, self.run_dir = place / 'state', place / 'run'
        self.config = place / 'guest.conf'
        self.config.write_text(
            f'[guest]\nstate_dir = {self.state}\nrun_dir = {self.run_dir}\nloader = environment\n'
            f'users = {os.getuid()}\nmetadata = {metadata}\n{sections}')
        self.attachment = self.run_dir / f'{os.getuid()}.json'
        self.process: subprocess.Popen[str] | None = None

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, '-m', 'accelpool.cmd.guest', '--config-file', str(self.config), *arguments]

    def call(self, *arguments: str, input: str | None = None) -> 'subprocess.CompletedProcess[str]':
        return subprocess.run(self.command(*arguments), cwd=ROOT, text=True, capture_output=True, timeout=60, input=input)

    def start(self) -> None:
        with (self.place / 'log').open('a') as log:
            self.process = subprocess.Popen(self.command('run'), cwd=ROOT, stdout=log, stderr=log, text=True)

    def kill(self) -> None:
        """As a power cut does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE)

    def reboot(self) -> None:
        """Power off, and on again without what was in /run."""
        self.kill()
        subprocess.run(['rm', '-r', str(self.run_dir)], check=True)
        self.start()

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.call('status', '--json').stdout)
        return found

    def wait(self, state: str = 'attached') -> dict[str, Any]:
        """Wait until the keeper says so."""
        def reached() -> dict[str, Any] | None:
            try:
                found: dict[str, Any] = json.loads((self.run_dir / 'status.json').read_text())
            except FileNotFoundError:
                return None
            return found if found['state'] == state else None
        try:
            found: dict[str, Any] = until(reached, state)
        except AssertionError as failure:
            raise AssertionError(f'{failure}\n{self.call("status").stdout}\n{(self.place / "log").read_text()}') from None
        return found

    def program(self, *command: str, **options: Any) -> 'subprocess.CompletedProcess[str]':
        """Run a program as a user of the guest does."""
        variables = dict(line.split('=', 1) for line in (self.run_dir / 'environment').read_text().splitlines())
        return subprocess.run(
            command, cwd=ROOT, text=True, capture_output=True, timeout=120,
            env={**os.environ, **variables, 'ACCELPOOL_ATTACHMENT': str(self.attachment)}, **options)

    def compute(self) -> str:
        """Write to the device's memory and read it back; returns the program's output."""
        return self.python('p = c.allocate(1 << 20); c.write(p, b"right"); print(c.read(p, 5).decode())')

    def python(self, script: str, check: bool = True) -> str:
        result = self.program(sys.executable, '-c', 'import sys; sys.path.insert(0, "examples"); '
                                                    f'import cuda_driver as c; c.start(); {script}')
        if check and result.returncode:
            raise AssertionError(result.stderr)
        return result.stdout.strip()


def processes(words: Sequence[str]) -> list[int]:
    """Return the ids of processes whose command line has all of the words."""
    found = []
    for path in pathlib.Path('/proc').glob('[0-9]*/cmdline'):
        try:
            line = path.read_bytes().decode(errors='replace')
        except OSError:
            continue
        if all(word in line for word in words):
            found.append(int(path.parent.name))
    return found
