# SPDX-License-Identifier: Apache-2.0
"""The embedded service as a process of its own, over HTTP: allocations, health, restarts and kills."""

import contextlib
import json
import os
import pathlib
import random
import re
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest
import uuid
from collections.abc import Callable
from typing import Any

import requests

from tests.support import processes

PATIENCE = 60
LIVE = ('pending', 'scheduled', 'binding', 'active', 'releasing')

CONFIG = """
[embedded]
hosts = host-a, host-b
[mock:host-a]
devices = gpu-emu:4GiB:1:fabric=rack-1, gpu-emu-b:2GiB:1
[mock:host-b]
devices = gpu-emu:4GiB:1, gpu-emu-b:2GiB:1
[conductor]
inventory_interval = 0.2
heartbeat_interval = 1
reconcile_interval = 1
[scheduler]
reconcile_interval = 1
"""


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f'{what}: not within {PATIENCE} s')
        time.sleep(0.02)


class Service:
    """accelpool-all in a subprocess."""

    def __init__(self, place: pathlib.Path) -> None:
        self.home = place / 'state'
        self.config = place / 'accelpool.conf'
        self.config.write_text(CONFIG)
        self.clouds = place / 'clouds.yaml'
        self.log = place / 'service.log'
        self.process: subprocess.Popen[bytes] | None = None
        self.http = requests.Session()

    def start(self) -> None:
        with self.log.open('ab') as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log)
        endpoint = self.home / 'endpoint.json'
        wait_for(lambda: self.ended() or (endpoint.exists() and self._endpoint()['pid'] == self.process.pid), 'start')
        if self.ended():
            raise AssertionError(self.log.read_text())
        self.http.auth = (self._endpoint()['username'], (self.home / 'password').read_text().strip())

    def command(self) -> list[str]:
        return [sys.executable, '-m', 'accelpool.cmd.all', '--config-file', str(self.config),
                '--state-dir', str(self.home), '--clouds-yaml', str(self.clouds)]

    def ended(self) -> bool:
        return self.process.poll() is not None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def agents(self) -> dict[str, int]:
        found = {}
        for host in ('host-a', 'host-b'):
            with contextlib.suppress(FileNotFoundError, ValueError):
                found[host] = json.loads((self.home / 'hosts' / host / 'agent.json').read_text())['pid']
        return found

    def _endpoint(self) -> dict[str, Any]:
        return json.loads((self.home / 'endpoint.json').read_text())

    def url(self, path: str) -> str:
        return f'{self._endpoint()["url"]}/v1{path}'

    def call(self, method: str, path: str, **body: Any) -> Any:
        response = self.http.request(method, self.url(path), json=body or None, timeout=PATIENCE)
        if not response.ok:
            raise AssertionError(f'{method} {path}: {response.status_code} {response.text}')
        return response.json() if response.content else None

    def devices(self) -> list[dict[str, Any]]:
        return self.call('GET', '/devices')['devices']

    def allocation(self, identifier: str) -> dict[str, Any]:
        return self.call('GET', f'/allocations/{identifier}')

    def create(self, **request: Any) -> str:
        """Create an allocation and return its id when it is active."""
        identifier = self.call('POST', '/allocations', **request)['id']
        self.wait_state(identifier, 'active')
        return identifier

    def wait_state(self, identifier: str, *states: str) -> dict[str, Any]:
        wait_for(lambda: self.allocation(identifier)['state'] in states, f'{identifier} {states}')
        return self.allocation(identifier)

    def delete(self, identifier: str) -> None:
        self.call('DELETE', f'/allocations/{identifier}')
        self.wait_state(identifier, 'released')

    def carved(self) -> int:
        """Return how many slices the drivers have on disk."""
        return sum(len(json.loads(path.read_text())) for path in self.home.glob('hosts/*/mock-slices.json'))

    def whole(self) -> bool:
        return self.carved() == 0 and all(
            (d['free_memory'], d['free_compute'], d['slices']) == (d['memory'], 100, 0) for d in self.devices())


class Case(unittest.TestCase):
    def setUp(self) -> None:
        # /tmp: the path of a unix socket is short.
        place = tempfile.TemporaryDirectory(prefix='acp-', dir='/tmp')
        self.addCleanup(place.cleanup)
        self.service = Service(pathlib.Path(place.name))
        self.service.start()
        self.addCleanup(self.service.kill)


class Embedded(Case):
    def test_life_of_an_allocation(self) -> None:
        devices = self.service.devices()
        self.assertEqual(['host-a', 'host-a', 'host-b', 'host-b'], sorted(device['host'] for device in devices))
        self.assertTrue(all(device['pools'] == ['default'] for device in devices))
        identifier = self.service.create(profile='small', consumer_host='host-a', locality='remote')
        (piece,) = self.service.allocation(identifier)['slices']
        self.assertEqual(('host-b', 30, 512), (piece['host'], piece['compute'], piece['memory']))
        first, _second = (self.service.call('GET', f'/allocations/{identifier}/attachment') for _ in range(2))
        (device,) = first['devices']
        self.assertEqual((piece['id'], 'cuda', 0), (device['slice'], device['interface'], device['ordinal']))
        self.assertRegex(device['urls'][0]['url'], r'^tcp://127\.0\.0\.3:\d+$')
        self.assertGreater(device['expires'], time.time())
        self.assertTrue(device['credential'].startswith(f'v2:{identifier}:{piece["id"]}:'))
        self.assertTrue(first['holder']['url'].startswith('unix://'))
        self.assertEqual(1, self.service.carved())
        self.service.delete(identifier)
        wait_for(self.service.whole, 'the pool is whole')
        events = [event['event'] for event in self.service.call('GET', f'/allocations/{identifier}/events')['events']]
        self.assertEqual(['create', 'claim', 'bind', 'activate', 'release', 'finish'], events)

    def test_one_request_each_when_the_client_prefers_to_wait(self) -> None:
        http = self.service.http
        http.headers.update({'OpenStack-API-Version': 'accelpool 1.1', 'Prefer': 'wait=30'})
        url = self.service.url('/allocations')
        answer = http.post(url, json={'profile': 'small'})
        self.assertEqual((202, 'active', 'wait=30'), (
            answer.status_code, answer.json()['state'], answer.headers.get('Preference-Applied')), answer.text)
        self.assertEqual(1, len(answer.json()['slices']))
        hopeless = http.post(url, json={'profile': 'small', 'traits': ['CUSTOM_NOWHERE']})
        self.assertEqual('error', hopeless.json()['state'], hopeless.text)
        for one in (answer, hopeless):
            gone = http.delete(f'{url}/{one.json()["id"]}')
            self.assertEqual((204, b''), (gone.status_code, gone.content))
        self.assertTrue(self.service.whole())

    def test_services_register_and_rest_when_they_are_disabled(self) -> None:
        def services() -> dict[str, dict[str, Any]]:
            return {f'{one["binary"]} {one["host"]}': one for one in self.service.call('GET', '/services')['services']}

        names = {'accelpool-api embedded', 'accelpool-scheduler embedded', 'accelpool-conductor host-a',
                 'accelpool-conductor host-b'}
        wait_for(lambda: names == set(services()), 'all services are registered')
        self.assertEqual({'up'}, {one['state'] for one in services().values()})
        for binary in ('api', 'scheduler'):
            self.service.call('PATCH', f'/services/{services()[f"accelpool-{binary} embedded"]["id"]}', disabled=True,
                              disabled_reason='upgrade')
        health = self.service.url('').replace('/v1', '/healthcheck')
        self.assertEqual(503, self.service.http.get(health).status_code)
        wait_for(lambda: 'serves no more' in self.service.log.read_text(), 'the scheduler rests')
        identifier = self.service.call('POST', '/allocations', profile='small')['id']
        self.assertEqual('pending', self.service.allocation(identifier)['state'])
        for binary in ('api', 'scheduler'):
            self.service.call('PATCH', f'/services/{services()[f"accelpool-{binary} embedded"]["id"]}', disabled=False)
        self.service.wait_state(identifier, 'active')
        self.assertEqual(200, self.service.http.get(health).status_code)

    def test_a_service_reports_what_it_does_when_it_is_asked(self) -> None:
        self.service.process.send_signal(signal.SIGUSR2)
        wait_for(lambda: re.search(r'=\s+Configuration\s+=.*htpasswd_file', self.service.log.read_text(), re.DOTALL), 'a report')
        log = self.service.log.read_text()
        self.assertIn('Threads', log)
        self.assertNotIn((self.service.home / 'password').read_text().strip(), log)
        self.assertFalse(self.service.ended())

    def test_several_devices_on_several_hosts(self) -> None:
        identifier = self.service.create(count=4, compute=50, memory=1024)
        attachment = self.service.call('GET', f'/allocations/{identifier}/attachment')
        self.assertEqual([0, 1, 2, 3], [device['ordinal'] for device in attachment['devices']])
        self.service.delete(identifier)
        wait_for(self.service.whole, 'the pool is whole')

    def test_health_of_a_device_shows_and_counts(self) -> None:
        sick = next(d for d in self.service.devices() if d['host'] == 'host-b' and d['model'] == 'gpu-emu')
        report = self.service.home / 'hosts/host-b/mock-health.json'
        report.write_text(json.dumps({sick['id']: {'health': 'failed', 'reason': 'on fire'}}))

        def now() -> dict[str, Any]:
            return self.service.call('GET', f'/devices/{sick["id"]}')

        wait_for(lambda: now()['health'] == 'failed', 'failed')
        self.assertEqual('on fire', now()['health_reason'])
        identifier = self.service.call(
            'POST', '/allocations', model='gpu-emu', memory=1024, consumer_host='host-a', locality='remote')['id']
        self.assertIn('failed', self.service.wait_state(identifier, 'error')['reason'])
        report.write_text(json.dumps({sick['id']: 'missing'}))
        wait_for(lambda: now()['health'] == 'missing', 'missing')
        report.unlink()
        wait_for(lambda: now()['health'] == 'ok', 'ok')

    def test_time_to_live_ends(self) -> None:
        identifier = self.service.create(profile='small', ttl=2)
        self.service.wait_state(identifier, 'released')
        wait_for(self.service.whole, 'the pool is whole')

    def test_private_files_and_clouds_entry(self) -> None:
        for name in ('password', 'htpasswd', 'endpoint.json'):
            self.assertEqual(0o600, stat.S_IMODE((self.service.home / name).stat().st_mode), name)
        self.assertEqual(0o700, stat.S_IMODE(self.service.home.stat().st_mode))
        wait_for(self.service.clouds.exists, 'clouds.yaml')
        self.assertIn('http_basic', self.service.clouds.read_text())
        self.service.http.auth = ('admin', 'guess')
        with self.assertRaisesRegex(AssertionError, ' 401 '):
            self.service.devices()

    def test_a_second_service_in_the_same_place_is_refused(self) -> None:
        second = subprocess.run(self.service.command(), capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(1, second.returncode)
        self.assertIn('Another accelpool-all uses', second.stderr)
        self.assertEqual(4, len(self.service.devices()))

    def test_stop_and_start_keeps_everything_but_the_agents(self) -> None:
        identifier = self.service.create(profile='small')
        agents = self.service.agents()
        password = self.service.http.auth
        url = self.service._endpoint()['url']
        self.assertEqual(0, self.service.stop())
        self.assertFalse([pid for pid in agents.values() if processes.alive(pid)])
        self.service.start()
        self.assertEqual((password, url), (self.service.http.auth, self.service._endpoint()['url']))
        self.assertEqual('active', self.service.allocation(identifier)['state'])
        self.assertTrue(self.service.call('GET', f'/allocations/{identifier}/attachment')['devices'])
        self.service.delete(identifier)
        wait_for(self.service.whole, 'the pool is whole')


class Killed(Case):
    def test_agents_die_with_the_service(self) -> None:
        agents = self.service.agents()
        self.assertEqual(2, len(agents))
        self.service.kill()
        wait_for(lambda: not any(processes.alive(pid) for pid in agents.values()), 'the agents are gone')

    def test_a_killed_agent_is_replaced_and_told_of_its_slices(self) -> None:
        identifier = self.service.create(profile='small', consumer_host='host-a', locality='remote')
        before = self.service.agents()['host-b']
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: self.service.agents().get('host-b', before) != before, 'a new agent')
        wait_for(lambda: self._attachable(identifier), 'an attachment from the new agent')
        self.service.delete(identifier)
        wait_for(self.service.whole, 'the pool is whole')

    def _attachable(self, identifier: str) -> bool:
        try:
            return bool(self.service.call('GET', f'/allocations/{identifier}/attachment')['devices'])
        except AssertionError:
            return False

    def test_killed_at_any_point_it_neither_leaks_nor_oversells(self) -> None:
        """Kill the service while it creates and releases; the next one brings everything to an end."""
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        for round_number in range(6):
            identifiers = [str(uuid.uuid4()) for _ in range(6)]
            for identifier in identifiers:
                self.service.call('POST', '/allocations', id=identifier, compute=30, memory=512, count=2)
                if chance.random() < 0.4:
                    self.service.call('DELETE', f'/allocations/{identifier}')
            time.sleep(chance.random() * 0.2)
            self.service.kill()
            self.service.start()
            with self.subTest(seed=seed, round=round_number):
                for identifier in identifiers:
                    found = self.service.wait_state(identifier, 'active', 'error', 'released')
                    if found['state'] == 'active':
                        self.assertEqual(2, len(found['slices']))
                self._sound(identifiers)
                for identifier in identifiers:
                    if self.service.allocation(identifier)['state'] != 'released':
                        self.service.delete(identifier)
                wait_for(self.service.whole, 'the pool is whole')

    def _sound(self, identifiers: list[str]) -> None:
        """What devices are charged is what the allocations hold, and never more than there is."""
        held: dict[str, int] = {}
        for identifier in identifiers:
            for piece in self.service.allocation(identifier)['slices']:
                held[piece['device_id']] = held.get(piece['device_id'], 0) + piece['compute']
        for device in self.service.devices():
            self.assertEqual(held.get(device['id'], 0), 100 - device['free_compute'])
            self.assertGreaterEqual(device['free_compute'], 0)
