# SPDX-License-Identifier: Apache-2.0
"""A user who does anything at any time, and remembers what the service promised."""

import random
import socket
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import requests
from keystoneauth1 import exceptions

from tests.integration.soak.breaker import Breaker
from tests.integration.soak.instances import Instances
from tests.integration.soak.report import Report
from tests.integration.support import fault, placement
from tests.integration.support.client import Client
from tests.integration.support.sessions import closed
from tests.support.agent import Refused, admit

#: Allocations that one customer has at a time.
MOST = 6

#: What the service has promised of an allocation, and the states in which it may be found in the end.
PROMISED = {
    'asked': {None, 'active', 'error'},         # no answer, or 503
    'made': {'active', 'error'},
    'to release': {'active', 'error', 'released'},  # no answer to the release, or 503
    'released': {'released'},
}


class Customer(threading.Thread):
    """Runs until ``ended`` is set; ``promises`` says what must be found then."""

    def __init__(self, number: int, seed: int, report: Report, breaker: Breaker, nova: placement.Nova,
                 ended: threading.Event) -> None:
        super().__init__(name=f'customer {number}', daemon=True)
        self._chance = random.Random(seed * 1000 + number)
        self._report, self._breaker, self._ended = report, breaker, ended
        self.user = Client('demo', 'demo', shared=False)
        self.promises: dict[str, str] = {}
        self.instances = Instances(self.ask, nova, self._chance, report)
        #: (allocation, host, connection, when it was opened)
        self._sessions: list[tuple[str, str, socket.socket, float]] = []

    def run(self) -> None:
        doings: list[tuple[Callable[[], None], int]] = [
            (self._create, 5), (self._release, 4), (self._look, 3), (self._attach, 4), (self._list, 1),
            (self._extend, 1), (self._nonsense, 1), (self._hang_up, 1), (self.instances.boot, 3), (self.instances.delete, 1)]
        choices, weights = zip(*doings, strict=True)
        while not self._ended.is_set():
            try:
                self._chance.choices(choices, weights)[0]()
                self._check_sessions()
            except Exception as failure:  # a mistake of this program, too
                self._report.violation(f'{self.name}: {failure!r}')
            time.sleep(self._chance.uniform(0, 0.5))
        for *_, connection, _opened in self._sessions:
            connection.close()

    def live(self) -> list[str]:
        return [identifier for identifier, promise in self.promises.items() if promise != 'released']

    def ask(self, what: str, method: str, path: str, body: Any = None, *, right: set[int], user: Client | None = None,
            **options: Any) -> requests.Response | None:
        """Ask; anything but a right answer or a good 503 is a violation.  None: the service was not reached."""
        begun = time.monotonic()
        try:
            answer = (user or self.user).ask(method, path, body, **options)
        except exceptions.ClientException as failure:
            self._report.count(f'{what}: {type(failure).__name__}')
            return None
        self._report.count(f'{what}: {answer.status_code}')
        if (seconds := time.monotonic() - begun) > fault.LONGEST:
            self._report.violation(f'{method} {path} took {seconds:.0f} s')
        if answer.status_code == 503:
            if not answer.headers.get('Retry-After', '').isdigit():
                self._report.violation(f'{method} {path}: 503 without Retry-After: {answer.text}')
        elif answer.status_code not in right:
            self._report.violation(f'{method} {path} {body}: {answer.status_code} {answer.text}')
        return answer

    def _create(self) -> None:
        if len(self.live()) >= MOST:
            return self._release()
        chance = self._chance
        body: dict[str, Any] = {
            'id': str(uuid.uuid4()), 'compute': chance.randint(1, 20), 'memory': chance.choice((16, 512, 3000)),
            'count': chance.choice((1, 1, 1, 2)), 'strict': chance.random() < 0.2}
        if chance.random() < 0.2:
            body['ttl'] = 3600
        self.promises[body['id']] = 'asked'
        answer = self.ask('create', 'POST', '/allocations', body, right={200, 202})
        if answer is not None and answer.status_code == 202:
            self.promises[body['id']] = 'made'
        return None

    def _release(self) -> None:
        if not (live := self.live()):
            return
        identifier = self._chance.choice(live)
        maybe = self.promises[identifier] == 'asked'
        answer = self.ask('release', 'DELETE', f'/allocations/{identifier}', right={202, 204, *({404} if maybe else ())})
        if answer is not None and answer.status_code in {202, 204}:
            self.promises[identifier] = 'released'
        elif answer is not None and answer.status_code == 404:
            del self.promises[identifier]
        elif not maybe:
            self.promises[identifier] = 'to release'

    def _look(self) -> None:
        if live := self.live():
            identifier = self._chance.choice(live)
            maybe = self.promises[identifier] == 'asked'
            self.ask('show', 'GET', f'/allocations/{identifier}', right={200, *({404} if maybe else ())})

    def _list(self) -> None:
        self.ask('list', 'GET', self._chance.choice(('/allocations', '/devices', '/profiles', '/pools')), right={200})

    def _extend(self) -> None:
        if live := self.live():
            identifier = self._chance.choice(live)
            self.ask('extend', 'PATCH', f'/allocations/{identifier}', {'ttl': 3600}, right={200, 404, 409})

    def _nonsense(self) -> None:
        body = self._chance.choice(({'compute': 0, 'memory': 1}, {'compute': 10}, {'memory': 'much'}, {'profile': 'nobody'}))
        self.ask('nonsense', 'POST', '/allocations', body, right={400, 404})

    def _attach(self) -> None:
        if not (live := self.live()):
            return
        identifier = self._chance.choice(live)
        answer = self.ask('attach', 'GET', f'/allocations/{identifier}/attachment', right={200, 404, 409})
        if answer is None or answer.status_code != 200:
            return
        opened = time.monotonic()
        device = self._chance.choice(answer.json()['devices'])
        host = next(one for one, address in self._breaker.addresses.items() if address in device['urls'][0]['url'])
        try:
            connection = admit(device['urls'][0]['url'], device['credential'])
        except (OSError, EOFError, Refused) as failure:
            self._report.count(f'session: {type(failure).__name__}')
            if not self._breaker.touched_agent(host, opened):
                self._report.violation(f'session on {host}: {failure!r}')
            return
        self._report.count('session: open')
        self._sessions.append((identifier, host, connection, opened))

    def _hang_up(self) -> None:
        if self._sessions:
            self._sessions.pop(self._chance.randrange(len(self._sessions)))[2].close()

    def _check_sessions(self) -> None:
        """A session goes on until its user ends it or its allocation, or its agent dies."""
        kept = []
        for identifier, host, connection, opened in self._sessions:
            if self.promises.get(identifier) not in {'released', 'to release'} and not closed(connection):
                kept.append((identifier, host, connection, opened))
                continue
            connection.close()
            if self.promises.get(identifier) == 'made' and not self._breaker.touched_agent(host, opened):
                self._report.violation(f'a session of {identifier} on {host} was ended')
        self._sessions = kept
