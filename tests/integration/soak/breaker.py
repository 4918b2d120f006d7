# SPDX-License-Identifier: Apache-2.0
"""Breaks services at random, mends them, and sees how long recovery takes."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable

from accelpool.rpc import client
from tests.integration.soak.report import Report
from tests.integration.support import service
from tools.integration import layout
from tools.integration.process import Failed, Service

INFRASTRUCTURE = ('rabbitmq', layout.SERVER, 'keystone', 'placement')
STATELESS = ('accelpool', 'accelpool-scheduler1', 'accelpool-scheduler2',
             *(f'accelpool-conductor-{host}' for host in layout.AGENTS))
AGENTS = tuple(f'accelpool-agent-{host}' for host in layout.AGENTS)


class Breaker:
    """One fault after the other, now and then two at once."""

    addresses = layout.AGENTS

    def __init__(self, seed: int, report: Report, known: Callable[[], list[str]]) -> None:
        """:param known: ids of allocations, for messages that come twice or too late"""
        self._chance = random.Random(seed)
        self._report = report
        self._known = known
        self._agents: dict[str, float] = {}

    def touched_agent(self, host: str, since: float) -> bool:
        """Whether sessions on the host may have ended since then."""
        return self._agents.get(host, 0.0) >= since - 1

    def step(self) -> None:
        """Break something, and mend it."""
        faults = [self._kill, self._kill, self._pause, self._noise]
        if self._chance.random() < 0.25:
            both = [threading.Thread(target=self._kill, args=(self._chance.choice(names),))
                    for names in (STATELESS, INFRASTRUCTURE)]
            for one in both:
                one.start()
            for one in both:
                one.join()
        else:
            self._chance.choice(faults)()

    def mend(self) -> None:
        """Have everything run and ready."""
        for name in (*INFRASTRUCTURE, *AGENTS, *STATELESS):
            _start(service(name))
        for name in (*INFRASTRUCTURE, *AGENTS, *STATELESS):
            service(name).wait_ready()

    def _pick(self) -> str:
        return self._chance.choice(self._chance.choice((INFRASTRUCTURE, STATELESS, STATELESS, AGENTS)))

    def _kill(self, name: str | None = None) -> None:
        name = name or self._pick()
        seconds = self._chance.uniform(0, 6)
        self._report.say(f'kill -9 {name}, start after {seconds:.1f} s')
        self._report.count(f'fault: kill {name}')
        self._touch(name)
        service(name).kill()
        time.sleep(seconds)
        self._touch(name)
        _start(service(name))

    def _pause(self) -> None:
        """It is there and does not answer: its connections stay open."""
        name, seconds = self._pick(), self._chance.uniform(1, 6)
        pid = service(name).pid
        if pid is None:
            return
        self._report.say(f'pause {name} for {seconds:.1f} s')
        self._report.count(f'fault: pause {name}')
        self._touch(name)
        os.killpg(pid, signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            os.killpg(pid, signal.SIGCONT)
        self._touch(name)

    def _noise(self) -> None:
        """Messages of long ago, in any order."""
        self._report.count('fault: messages')
        known = self._known()
        for identifier in self._chance.sample(known, min(20, len(known))):
            host = self._chance.choice(tuple(layout.AGENTS))
            say = self._chance.choice((
                client.SchedulerClient().schedule, client.ConductorClient(host).bind, client.ConductorClient(host).release))
            say(identifier)

    def _touch(self, name: str) -> None:
        for host in layout.AGENTS:
            if name == f'accelpool-agent-{host}':
                self._agents[host] = time.monotonic()


def _start(wanted: Service) -> None:
    """Start it as a service manager would: again when it ends because what it needs is not there yet."""
    for _ in range(20):
        wanted.start(wait=False)
        time.sleep(0.5)
        if wanted.pid is not None:
            return
    raise Failed(f'{wanted.name} ends again and again')
