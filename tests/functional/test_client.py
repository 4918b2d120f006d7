# SPDX-License-Identifier: Apache-2.0
"""The client library in front of a real worker and an emulated device, through the eyes of programs."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

from accelpool.remoting import artefacts, handshake
from tests.functional import loopback

ROOT = pathlib.Path(__file__).parents[2]


def command(scenario: str) -> list[str]:
    return [sys.executable, '-m', 'tests.functional.client_program', scenario]


class WithWorker(unittest.TestCase):
    agent: loopback.Loopback

    @classmethod
    def setUpClass(cls) -> None:
        cls.agent = cls.enterClassContext(loopback.running())

    def run_program(self, scenario: str) -> subprocess.CompletedProcess[str]:
        """Run a program, which has all of the slice."""
        self.agent.settle()
        result = subprocess.run(command(scenario), env=self.agent.environment, cwd=ROOT, capture_output=True, text=True)
        self.assertEqual(0, result.returncode, result.stderr)
        return result

    def run_scenario(self, scenario: str) -> str:
        """Run a program, which has all of the slice, and return what it said on stderr."""
        return self.run_program(scenario).stderr

    def test_device(self) -> None:
        self.run_scenario('device')

    def test_contexts(self) -> None:
        self.run_scenario('context')

    def test_memory(self) -> None:
        self.run_scenario('memory')

    def test_memory_is_there_to_the_last_byte(self) -> None:
        self.run_scenario('cap')

    def test_copies(self) -> None:
        self.run_scenario('copies')

    def test_streams_and_events(self) -> None:
        self.run_scenario('streams')

    def test_streams_of_threads(self) -> None:
        self.run_scenario('own_streams')

    def test_modules(self) -> None:
        self.run_scenario('modules')

    def test_kernels_of_a_large_module(self) -> None:
        self.run_scenario('many_kernels')

    def test_linking(self) -> None:
        self.run_scenario('link')

    def test_launches(self) -> None:
        self.run_scenario('launches')

    def test_what_kernels_print(self) -> None:
        lines = self.run_program('prints').stdout.splitlines()
        self.assertEqual(sorted(f'thread {n} of 256' for n in range(256)), sorted(lines[:256]))
        self.assertEqual(['synchronized', 'thread 0 of 1', 'copied', 'thread 0 of 1', 'reached', 'thread 0 of 1', 'reset'],
                         lines[256:])

    def test_a_program_without_standard_output(self) -> None:
        self.agent.settle()
        result = subprocess.run(['sh', '-c', 'exec "$@" >&-', '-', *command('prints_blindly')], env=self.agent.environment,
                                cwd=ROOT, stderr=subprocess.PIPE, text=True)
        self.assertEqual((0, ''), (result.returncode, result.stderr))

    def test_errors_of_the_device_are_sticky(self) -> None:
        self.run_scenario('sticky')

    def test_threads(self) -> None:
        self.run_scenario('threads')

    def test_fork_and_exec(self) -> None:
        self.run_scenario('child')

    def test_procedures_and_what_is_not_carried(self) -> None:
        said = self.run_scenario('procedures')
        self.assertEqual(1, said.count('cuGraphCreate'), said)
        self.assertEqual(1, said.count('-cudart shared'), said)

    def test_killed_worker_is_an_error_within_a_second(self) -> None:
        with subprocess.Popen(command('lost'), env=self.agent.environment, cwd=ROOT, text=True, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as program:
            assert program.stdin and program.stdout
            self.assertEqual('ready\n', program.stdout.readline())
            os.kill(self.agent.pids[max(self.agent.pids)], signal.SIGKILL)
            output, _ = program.communicate('go\n', timeout=30)
        self.assertEqual(0, program.returncode)
        self.assertLess(float(output), 1.0)

    def test_reset_gives_everything_back(self) -> None:
        self.run_scenario('reset')

    def test_two_devices(self) -> None:
        with loopback.running(limit=64 << 20, devices=2) as agent:
            result = subprocess.run(command('two_devices'), env=agent.environment, cwd=ROOT, capture_output=True,
                                    text=True)
        self.assertEqual(0, result.returncode, result.stderr)

    def test_example_over_tcp(self) -> None:
        with tempfile.TemporaryDirectory() as place, loopback.running(tcp=True) as agent:
            program = f'{place}/vector_add'
            subprocess.run(['gcc', '-o', program, str(ROOT / 'examples/vector_add.c'),
                            str(artefacts.client_library('cuda'))], check=True)
            result = subprocess.run([program], env=agent.environment, capture_output=True, text=True)
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertIn('512 MiB', result.stdout)


class InsideTls(WithWorker):
    """The same programs, and they do not see a difference."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.agent = cls.enterClassContext(loopback.running(tcp=True, transport=handshake.Transport.TLS_PSK))


class WithoutWorker(unittest.TestCase):
    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.file = pathlib.Path(place.name) / 'attachment.json'

    def said(self, attachment: str | None, mode: int = 0o600, url: str = 'unix:///nowhere') -> str:
        """What a program hears that cannot get at its device."""
        environment = os.environ | {'LD_LIBRARY_PATH': str(artefacts.client_library_dir('cuda'))}
        environment.pop('ACCELPOOL_ATTACHMENT', None)
        if attachment is not None:
            self.file.write_text(attachment.replace('URL', url))
            self.file.chmod(mode)
            environment['ACCELPOOL_ATTACHMENT'] = str(self.file)
        result = subprocess.run(command('unattached'), env=environment, cwd=ROOT, capture_output=True, text=True)
        self.assertEqual(0, result.returncode, result.stderr)
        return result.stderr

    ATTACHMENT = json.dumps({'version': 1, 'technique': 'interpose', 'allocation': 'a', 'holder': None, 'devices': [
        {'ordinal': 0, 'slice': 's', 'interface': 'cuda', 'urls': [{'url': 'URL', 'network': 'default'}],
         'credential': 'v2:a:s:1:99999999999:300:0:' + 64 * '0', 'expires': 99999999999}]})

    def test_no_attachment_is_said_once(self) -> None:
        self.assertEqual(1, self.said(None).count('ACCELPOOL_ATTACHMENT'))

    def test_attachment_that_others_may_read_is_refused(self) -> None:
        self.assertIn('chmod 600', self.said(self.ATTACHMENT, mode=0o644))

    def test_wrong_attachments(self) -> None:
        for text in ('', '{', '[]', '{}', self.ATTACHMENT.replace('"version": 1', '"version": 2'),
                     self.ATTACHMENT.replace('"ordinal": 0', '"ordinal": 1'),
                     self.ATTACHMENT.replace('"ordinal": 0', '"ordinal": -1'),
                     self.ATTACHMENT.replace('URL', 'x' * 5000), self.ATTACHMENT[:-5]):
            self.assertIn('not an attachment', self.said(text), text)

    def test_agent_that_is_not_there(self) -> None:
        self.assertIn('/nowhere', self.said(self.ATTACHMENT))

    def test_unknown_transport_is_refused(self) -> None:
        self.assertIn('unix://<path> and tcp://', self.said(self.ATTACHMENT, url='rdma://10.0.0.1:4000'))
