# SPDX-License-Identifier: Apache-2.0
"""Sessions inside TLS 1.3: real clients, agent and workers, and somebody on the wire between them."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from accelpool.remoting import artefacts, handshake
from tests.functional import loopback
from tests.support import agent, certificates
from tests.support.wiretap import MARKER, Wiretap

ROOT = pathlib.Path(__file__).parents[2]
#: Bytes of the client's second frame: a header and a signature.
PROOF = handshake.HEADER.size + 32


def native() -> pathlib.Path:
    return artefacts.worker().parents[1]


class Tls(unittest.TestCase):
    def start(self, *arguments: str) -> agent.Agent:
        running = agent.Agent(self, worker=native(), listen='tcp://127.0.0.1:0', arguments=arguments)
        running.bind(library=str(artefacts.emulated_library('cuda')), ACCELPOOL_EMU_DEVICE=loopback.DEVICE)
        return running

    def program(self, running: agent.Agent, url: str, scenario: str = 'marker', **extra: str) \
            -> subprocess.CompletedProcess[str]:
        """Run a program whose attachment leads to ``url``."""
        file = running.place / 'attachment.json'
        file.touch(0o600)
        file.write_text(json.dumps({
            'version': 1, 'technique': 'interpose', 'allocation': 'of-slice-1', 'holder': None, 'devices': [
                {'ordinal': 0, 'slice': 'slice-1', 'interface': 'cuda', 'expires': 0,
                 'urls': [{'url': url, 'network': 'default'}], 'credential': running.credential()}]}))
        return subprocess.run(
            [sys.executable, '-m', 'tests.functional.tls_program', scenario], cwd=ROOT, capture_output=True, text=True,
            env=os.environ | extra | {'ACCELPOOL_ATTACHMENT': str(file),
                                      'LD_LIBRARY_PATH': str(artefacts.client_library_dir('cuda'))})

    def assert_runs(self, result: subprocess.CompletedProcess[str]) -> None:
        self.assertEqual((0, ''), (result.returncode, result.stderr))

    def assert_fails(self, result: subprocess.CompletedProcess[str], reason: str) -> None:
        self.assertNotEqual(0, result.returncode)
        self.assertIn(reason, result.stderr)

    def test_nobody_on_the_wire_reads_along(self) -> None:
        for arguments, readable in (((), True), (('--tls-loopback',), False)):
            running = self.start(*arguments)
            with self.subTest(readable=readable), Wiretap(running.url) as tap:
                self.assert_runs(self.program(running, tap.url))
                self.assertEqual((readable, readable), (MARKER in tap.said, MARKER in tap.answered))

    def test_a_recorded_session_cannot_be_replayed(self) -> None:
        running = self.start('--tls-loopback')
        with Wiretap(running.url) as tap:
            self.assert_runs(self.program(running, tap.url))
        said = bytes(tap.said)
        hello = handshake.HEADER.size + handshake.parse_header(said[:handshake.HEADER.size])[0]
        connection = agent.connect(running.url)
        self.addCleanup(connection.close)
        connection.sendall(said[:hello])
        agent.expect(connection, handshake.CHALLENGE)
        # No more than the proof: what the agent has not read when it closes resets the connection, refusal and all.
        connection.sendall(said[hello:][:PROOF])
        with self.assertRaises(agent.Refused) as caught:
            agent.expect(connection, handshake.SECURE)
        self.assertEqual(1, caught.exception.code)

    def test_nobody_on_the_wire_can_switch_it_off(self) -> None:
        running = self.start('--tls-loopback')
        insecure = handshake.HEADER.pack(72, handshake.CHALLENGE, 0, 0) + bytes([1, 0, 0, 0, 0])

        def weaken(data: bytes) -> bytes:
            return insecure + data[len(insecure):] if data.startswith(insecure[:-1]) else data

        with Wiretap(running.url, weaken) as tap:
            self.assert_fails(self.program(running, tap.url), 'could not prove')

    def test_one_bit_on_the_wire_ends_the_session(self) -> None:
        running = self.start('--tls-loopback')
        large = 0

        def damage(data: bytes) -> bytes:
            nonlocal large
            large += len(data) > 4096
            return data[:-1] + bytes([data[-1] ^ 1]) if large == 1 and len(data) > 4096 else data

        with Wiretap(running.url, damage) as tap:
            self.assert_fails(self.program(running, tap.url), '709')

    def test_certificates(self) -> None:
        place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        certificates.make(place)
        running = self.start('--tls-loopback', '--tls', 'certificates', '--tls-directory', str(place))
        with Wiretap(running.url) as tap:
            self.assert_runs(self.program(running, tap.url, ACCELPOOL_TLS_DIRECTORY=str(place)))
            self.assertNotIn(MARKER, tap.said + tap.answered)
        self.assert_fails(self.program(running, running.url, ACCELPOOL_TLS_DIRECTORY=str(place / 'nowhere')),
                          'wants certificates')
        for kind in ('pem', 'key'):
            shutil.copy(place / f'stranger.{kind}', place / f'client.{kind}')
        self.assert_fails(self.program(running, running.url, ACCELPOOL_TLS_DIRECTORY=str(place)), 'accelpool: device 0')

    def test_a_key_that_others_may_read_stops_the_agent(self) -> None:
        place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        certificates.make(place)
        (place / 'server.key').chmod(0o644)
        with self.assertRaisesRegex(AssertionError, 'chmod 600'):
            self.start('--tls', 'certificates', '--tls-directory', str(place))

    def test_beside_the_programs_own_openssl(self) -> None:
        running = self.start('--tls-loopback')
        self.assert_runs(self.program(running, running.url, 'beside_openssl'))

    def test_the_library_shows_no_symbol_but_the_vendors(self) -> None:
        listed = subprocess.run(['nm', '-D', artefacts.client_library('cuda')], check=True, capture_output=True,
                                text=True).stdout.split('\n')
        defined = {line.split()[-1] for line in listed if line and line.split()[-2] not in {'U', 'w', 'v'}}
        self.assertEqual(set(), {name for name in defined if not name.startswith('cu')})
        self.assertEqual([], [line for line in listed if ' U ' in line and ('SSL' in line or 'EVP' in line)])
