# SPDX-License-Identifier: Apache-2.0
"""A consumer that knows only its local agent: two real agents, real workers, real programs."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import unittest
from typing import Any

from accelpool.remoting import artefacts, handshake
from tests.functional import loopback
from tests.support import agent
from tools.bench import service

ROOT = pathlib.Path(__file__).parents[2]


class FrontDoor(unittest.TestCase):
    def setUp(self) -> None:
        native = artefacts.worker().parents[1]
        self.there = agent.Agent(self, worker=native, listen='tcp://127.0.0.8:0', arguments=['--tls-loopback'])
        self.there.bind(library=str(artefacts.emulated_library('cuda')), ACCELPOOL_EMU_DEVICE=loopback.DEVICE)
        self.here = agent.Agent(self, worker=native, listen='tcp://127.0.0.9:0',
                                arguments=['--door', 'tcp://127.0.0.1:0'])

    def ways(self, lifetime: int = 60) -> list[dict[str, str]]:
        return self.here.control.ask('route', allocation_id='of-slice-1', lifetime=lifetime,
                                     urls=[{'url': self.there.url, 'network': 'default'}])['ways'][0]

    def program(self, way: dict[str, Any], scenario: str = 'marker') -> 'subprocess.Popen[str]':
        file = self.here.place / 'attachment.json'
        file.touch(0o600)
        file.write_text(json.dumps({
            'version': 1, 'technique': 'interpose', 'allocation': 'of-slice-1', 'holder': None, 'devices': [
                {'ordinal': 0, 'slice': 'slice-1', 'interface': 'cuda', 'expires': 0, 'urls': [way],
                 'credential': self.there.credential()}]}))
        return subprocess.Popen(
            [sys.executable, '-m', 'tests.functional.tls_program', scenario], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=os.environ | {'ACCELPOOL_ATTACHMENT': str(file),
                              'LD_LIBRARY_PATH': str(artefacts.client_library_dir('cuda'))})

    def test_programs_run_by_either_door(self) -> None:
        ways = self.ways()
        self.assertEqual(['unix', 'tcp'], [way['via'].partition(':')[0] for way in ways])
        for way in ways:
            with self.subTest(way['via']), self.program(way) as program:
                _, said = program.communicate(timeout=60)
                self.assertEqual((0, ''), (program.returncode, said))
        self.assertEqual([], self.here.control.ask('usage')['devices'])

    def test_death_of_the_consumer_ends_the_session(self) -> None:
        for way in self.ways():
            with self.subTest(way['via']), self.program(way, 'wait') as program:
                assert program.stdout
                self.assertEqual('ready\n', program.stdout.readline())
                self.assertEqual(1, self.there.slice()['sessions'])
                program.send_signal(signal.SIGKILL)
                agent.wait_for(lambda: self.there.slice()['sessions'] == 0, 'the end of the session')

    def test_death_of_the_other_side_is_the_programs_error(self) -> None:
        for way in self.ways():
            with self.subTest(way['via']), self.program(way, 'wait') as program:
                assert program.stdout
                self.assertEqual('ready\n', program.stdout.readline())
                self.there.control.ask('unbind', slice_id='slice-1')
                _, said = program.communicate('go\n', timeout=60)
                self.assertIn('709', said)
                self.there.bind(library=str(artefacts.emulated_library('cuda')), ACCELPOOL_EMU_DEVICE=loopback.DEVICE)

    def test_the_local_agent_may_end_while_a_session_goes_on(self) -> None:
        with self.program(self.ways()[0], 'wait') as program:
            assert program.stdout
            self.assertEqual('ready\n', program.stdout.readline())
            self.here.stop()
            _, said = program.communicate('go\n', timeout=60)
            self.assertEqual((0, ''), (program.returncode, said))

    def test_a_device_of_this_host_needs_no_ticket(self) -> None:
        [unix, tcp] = self.here.control.ask(
            'route', allocation_id='of-slice-1', lifetime=60, urls=[{'url': self.here.url, 'network': 'n'}])['ways'][0]
        self.assertEqual({'url': self.here.about['data_socket'], 'network': 'n'}, unix)
        self.assertEqual({'url', 'network'}, set(tcp))

    def refusal(self, ticket: str, url: str | None = None) -> int:
        connection = agent.connect(url or self.here.about['data_socket'])
        with connection:
            connection.sendall(handshake.frame(handshake.ROUTE, ticket.encode()))
            with self.assertRaises(agent.Refused) as caught:
                agent.expect(connection, handshake.ROUTED)
        return caught.exception.code

    def test_only_its_own_fresh_tickets_open_it(self) -> None:
        good = self.ways()[0]['ticket']
        address = good.split(':')[2]
        for bad in ('', 'r1', good[:-1], good + '0', good.replace(address, '127.0.0.1'), good.upper(),
                    self.there.credential(), 'r1:a:b:c:d:' + 64 * '0', '\N{SNOWMAN}'):
            self.assertEqual(6, self.refusal(bad), bad)
        self.assertEqual(2, self.refusal(self.ways(lifetime=-3601)[0]['ticket']))
        self.assertEqual(6, agent_code(self.here, good))

    def test_an_agent_that_is_not_there(self) -> None:
        with socket.create_server(('127.0.0.1', 0)) as gone:
            url = f'tcp://127.0.0.1:{gone.getsockname()[1]}'
        place = {'url': url, 'network': 'n'}
        ways = self.here.control.ask('route', allocation_id='a', lifetime=60, urls=[place])['ways'][0]
        with self.program(ways[0]) as program:
            _, said = program.communicate(timeout=60)
        self.assertIn(f'the agent refuses: {url}: Connection refused', said)


def agent_code(running: agent.Agent, ticket: str) -> int:
    """What an agent says to somebody who takes a ticket for a credential."""
    try:
        agent.admit(running.about['data_socket'], ticket)
    except agent.Refused as refused:
        return refused.code
    raise AssertionError('admitted')


class WholeService(unittest.TestCase):
    """From the API's attachment to the program, with nothing but the local agent in it."""

    def test_a_program_that_may_use_its_local_agent_only(self) -> None:
        options = '[agent]\nfront_door = only\n[embedded]\ntls = true\n'
        with service.running(options) as running:
            for locality in ('remote', 'host'):
                result = subprocess.run(
                    running.accelpool('run', '--profile', 'small', '--consumer-host', 'host-a', '--locality', locality,
                                      '--', sys.executable, '-c', SHOW_AND_RUN),
                    env=running.environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
                self.assertEqual(0, result.returncode, result.stderr)
                ways = json.loads(result.stdout)
                self.assertEqual({'tcp' if locality == 'remote' else 'unix'},
                                 {way['url'].partition(':')[0] for way in ways})
                self.assertEqual({locality == 'remote'}, {way.get('via', '').startswith('unix:') for way in ways})


#: Prints the ways of its attachment and then works on the slice.
SHOW_AND_RUN = """
import json, os
from tests.functional import tls_program
with open(os.environ['ACCELPOOL_ATTACHMENT']) as file:
    print(json.dumps(json.load(file)['devices'][0]['urls']))
tls_program.marker()
"""
