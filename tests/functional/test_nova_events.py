# SPDX-License-Identifier: Apache-2.0
"""A scheduler as a process of its own, and a Nova that does not take its events the way it should."""

import http.server
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import uuid
from collections.abc import Callable
from typing import Any, TypeAlias

from accelpool.allocations.states import Event
from accelpool.db import arq, session
from tests.support import database

PATIENCE = 60

#: What Nova answers to some events: status, and the code of each event.  The statuses are those of the compute API
#: reference, "Create External Events": 207 when not all of them could be handled, 404 or 422 when none could.
Answer: TypeAlias = tuple[int, tuple[int, ...]]

CONFIG = """
[DEFAULT]
transport_url = kombu+memory://
[database]
connection = {database}
[nova]
auth_type = none
endpoint_override = {nova}
event_interval = 0.1
event_timeout = 600
"""


class Nova(http.server.ThreadingHTTPServer):
    """Nova's event endpoint with answers from a script, then 200; ``told`` has the events of each request."""

    def __init__(self, *script: Answer) -> None:
        super().__init__(('127.0.0.1', 0), _Handler)
        self.script = list(script)
        self.told: list[dict[str, str]] = []
        self.url = f'http://127.0.0.1:{self.server_address[1]}'

    def answer(self, events: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        self.told.append({event['tag']: event['status'] for event in events})
        status, codes = self.script.pop(0) if self.script else (200, (200,) * len(events))
        if status not in {200, 207}:
            return status, {'error': {'code': status, 'message': 'not now'}}
        return status, {'events': [{**event, 'code': code} for event, code in zip(events, codes, strict=True)]}


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Nova

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        assert self.path == '/os-server-external-events', self.path
        status, answer = self.server.answer(body['events'])
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f'{what}: not within {PATIENCE} s'
        time.sleep(0.02)


class Events(unittest.TestCase):
    def setUp(self) -> None:
        self.url = database.use(self)

    def nova(self, *script: Answer) -> Nova:
        made = Nova(*script)
        thread = threading.Thread(target=made.serve_forever, args=(0.05,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(made.server_close)
        self.addCleanup(made.shutdown)
        return made

    def scheduler(self, nova: Nova) -> None:
        place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix='accelpool-events-')))
        (place / 'accelpool.conf').write_text(CONFIG.format(database=self.url, nova=nova.url))
        with (place / 'log').open('wb') as log:
            process = subprocess.Popen(
                [sys.executable, '-m', 'accelpool.cmd.scheduler', '--config-file', place / 'accelpool.conf'],
                stdout=log, stderr=log)
        self.addCleanup(process.wait, PATIENCE)
        self.addCleanup(process.terminate)

    def ended(self, *, well: bool) -> str:
        """Make an accelerator request whose slice was carved, or could not be."""
        one, _ = database.add_binding(
            str(uuid.uuid4()), Event.CLAIM, Event.BIND, Event.ACTIVATE if well else Event.FAIL)
        return one

    def shown(self, identifier: str) -> str:
        with session.reader() as reader:
            return arq.show(reader, identifier, None).state

    def test_what_nova_does_not_take_it_is_told_again_and_nothing_else(self) -> None:
        carved, failed = self.ended(well=True), self.ended(well=False)
        database.add_binding(str(uuid.uuid4()), Event.CLAIM, Event.BIND)  # has not ended
        nova = self.nova((500, ()), (503, ()), (207, (422, 200)), (422, ()), (404, ()))
        self.scheduler(nova)
        wait_for(lambda: self.shown(carved) == 'Bound', 'the event of the carved one')
        self.assertEqual('BindFailed', self.shown(failed))
        later = self.ended(well=True)
        wait_for(lambda: self.shown(later) == 'Bound', 'the event of a later one')
        both, rest = {carved: 'completed', failed: 'failed'}, {carved: 'completed'}
        self.assertEqual([both, both, both, rest, rest, rest, {later: 'completed'}], nova.told)

    def test_a_failure_is_not_shown_while_nova_has_not_been_told(self) -> None:
        failed = self.ended(well=False)
        nova = self.nova(*[(500, ())] * 100_000)
        self.scheduler(nova)
        wait_for(lambda: len(nova.told) > 5, 'attempts')
        self.assertEqual('BindStarted', self.shown(failed))
        nova.script.clear()
        wait_for(lambda: self.shown(failed) == 'BindFailed', 'the event')
        later = self.ended(well=True)
        wait_for(lambda: self.shown(later) == 'Bound', 'the event of a later one')
        *those, last = nova.told
        self.assertEqual([{failed: 'failed'}] * len(those), those)
        self.assertEqual({later: 'completed'}, last)


if __name__ == '__main__':
    unittest.main()
