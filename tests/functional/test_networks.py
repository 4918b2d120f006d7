# SPDX-License-Identifier: Apache-2.0
"""Sessions between hosts with addresses of their own, over the network that is meant for them."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from accelpool.remoting import artefacts
from tests.functional import loopback
from tests.support import agent, certificates, networks

ROOT = pathlib.Path(__file__).parents[2]
MIB = 1 << 20
CONSUMER, DEVICE = '10.77.1.1', '10.77.1.2'          # management
CONSUMER_DATA, DEVICE_DATA = '10.77.2.1', '10.77.2.2'


@unittest.skipUnless(os.geteuid() == 0, 'needs root')
class Networks(unittest.TestCase):
    def setUp(self) -> None:
        self.consumer, self.device = networks.Host(self, 'consumer'), networks.Host(self, 'device')
        networks.connect('management', **{CONSUMER: self.consumer, DEVICE: self.device})
        networks.connect('data', **{CONSUMER_DATA: self.consumer, DEVICE_DATA: self.device})

    def start(self, host: networks.Host, listen: str, *arguments: str) -> agent.Agent:
        return agent.Agent(self, worker=artefacts.worker().parents[1], listen=listen, arguments=arguments,
                           command=[*host.command, sys.executable, '-m', 'accelpool.cmd.agent'])

    def with_device(self, *arguments: str) -> agent.Agent:
        running = self.start(self.device, f'tcp://{DEVICE}:0,management', '--listen', f'tcp://{DEVICE_DATA}:0,data',
                             *arguments)
        running.bind(library=str(artefacts.emulated_library('cuda')), ACCELPOOL_EMU_DEVICE=loopback.DEVICE)
        return running

    def run_at(self, host: networks.Host, attachment: pathlib.Path, *command: str, **extra: str) \
            -> 'subprocess.CompletedProcess[str]':
        return subprocess.run(
            [*host.command, sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=120,
            env=os.environ | extra | {'ACCELPOOL_ATTACHMENT': str(attachment),
                                      'LD_LIBRARY_PATH': str(artefacts.client_library_dir('cuda'))})

    def attach(self, running: agent.Agent, ways: list[dict[str, str]]) -> pathlib.Path:
        file = running.place / 'attachment.json'
        file.touch(0o600)
        file.write_text(json.dumps({
            'version': 1, 'technique': 'interpose', 'allocation': 'of-slice-1', 'holder': None, 'devices': [
                {'ordinal': 0, 'slice': 'slice-1', 'interface': 'cuda', 'expires': 0, 'urls': ways,
                 'credential': running.credential()}]}))
        return file

    @staticmethod
    def place(running: agent.Agent, network: str) -> dict[str, str]:
        [found] = [place for place in running.about['advertise'] if place['network'] == network]
        return found

    def test_numba_program_takes_the_network_that_is_named(self) -> None:
        running = self.with_device()
        for network in ('management', 'data'):
            before = {name: self.device.received(name) for name in ('management', 'data')}
            result = self.run_at(self.consumer, self.attach(running, [self.place(running, network)]),
                                 'examples/numba_vector.py')
            self.assertEqual(0, result.returncode, result.stderr)
            self.assertEqual(4, result.stdout.count(': ok'), result.stdout)
            for name, bytes_before in before.items():
                self.assertEqual(name == network, self.device.received(name) - bytes_before > MIB, (network, name))

    def test_certificates_name_the_address(self) -> None:
        place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        certificates.make(place, DEVICE_DATA)
        running = self.with_device('--tls', 'certificates', '--tls-directory', str(place))
        for network, status in (('data', 0), ('management', 1)):
            result = self.run_at(self.consumer, self.attach(running, [self.place(running, network)]),
                                 '-m', 'tests.functional.tls_program', 'marker', ACCELPOOL_TLS_DIRECTORY=str(place))
            self.assertEqual(status, result.returncode, result.stderr)
        self.assertIn('certificate verify failed', result.stderr)

    def test_a_consumer_without_any_network_comes_through_its_agent(self) -> None:
        running = self.with_device()
        local = self.start(self.consumer, f'tcp://{CONSUMER}:0')
        ways = local.control.ask('route', allocation_id='of-slice-1', lifetime=60,
                                 urls=[self.place(running, 'data')])['ways'][0]
        isolated = networks.Host(self, 'isolated')
        before = self.device.received('data')
        result = self.run_at(isolated, self.attach(running, ways), 'examples/numba_vector.py')
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertGreater(self.device.received('data') - before, MIB)
        result = self.run_at(isolated, self.attach(running, [self.place(running, 'data')]), 'examples/numba_vector.py')
        self.assertIn('Network is unreachable', result.stderr)

    def test_a_second_way_is_taken_where_the_first_leads_nowhere(self) -> None:
        running = self.with_device()
        nowhere = {'url': f'tcp://{DEVICE_DATA}:1', 'network': 'data'}
        result = self.run_at(self.consumer, self.attach(running, [nowhere, self.place(running, 'management')]),
                             '-m', 'tests.functional.tls_program', 'marker')
        self.assertEqual((0, ''), (result.returncode, result.stderr))

    def test_plaintext_never_leaves_the_machine(self) -> None:
        with loopback.running(listener=self.device.listener(DEVICE)) as insecure:
            result = self.run_at(self.consumer, insecure.attachment, '-m', 'tests.functional.tls_program', 'marker')
        self.assertIn('the agent offers no TLS', result.stderr)
