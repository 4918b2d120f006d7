# SPDX-License-Identifier: Apache-2.0
"""AscendCL's client library in front of a real worker and an emulated device, through the eyes of programs."""

import os
import pathlib
import select
import signal
import subprocess
import sys
import unittest

from accelpool.remoting import artefacts, handshake
from tests.functional import loopback, test_acl_abi

ROOT = pathlib.Path(__file__).parents[2]
#: What libacl_op_compiler answers, or refuses for some values only.
COMPILER_ANSWERS = {'aclGetCompileopt', 'aclGetCompileoptSize', 'aclSetCompileopt', 'aclCreateGraphDumpOpt'}


def command(scenario: str, program: str = 'acl_program') -> list[str]:
    return [sys.executable, '-m', f'tests.functional.{program}', scenario]


class Acl(unittest.TestCase):
    agent: loopback.Loopback

    @classmethod
    def setUpClass(cls) -> None:
        cls.agent = cls.enterClassContext(loopback.running(interface='acl'))

    def run_scenario(self, scenario: str, program: str = 'acl_program', *arguments: str) -> str:
        """Run a program and return what it said on stderr."""
        result = subprocess.run([*command(scenario, program), *arguments], env=self.agent.environment, cwd=ROOT, capture_output=True, text=True,
                                timeout=60)
        self.assertEqual(0, result.returncode, result.stderr)
        return result.stderr

    def test_device(self) -> None:
        self.run_scenario('device')

    def test_memory(self) -> None:
        self.run_scenario('memory')

    def test_copies(self) -> None:
        self.run_scenario('copies')

    def test_kernels(self) -> None:
        self.run_scenario('kernels')

    def test_a_kernel_that_reaches_foreign_memory_faults(self) -> None:
        self.run_scenario('faults')
        self.run_scenario('fault_shape')

    def test_binaries_and_launches_that_make_no_sense(self) -> None:
        self.run_scenario('binaries')

    def test_bad_input_for_every_call(self) -> None:
        self.run_scenario('bad_input')

    def test_bad_input_for_every_call_that_is_written_by_hand(self) -> None:
        self.run_scenario('bad_input_by_hand')

    def test_addresses_and_sizes_for_every_call_that_is_written_by_hand(self) -> None:
        self.run_scenario('bad_addresses')
        self.run_scenario('bad_sizes')

    def test_what_is_not_carried_is_refused_and_named_once(self) -> None:
        said = self.run_scenario('refused')
        self.assertEqual(1, said.count('aclrtNotifyGetExportKey is not carried'))

    def test_the_libraries_beside_refuse_and_say_why_once(self) -> None:
        collectives = 'devices of different slices do not talk to each other'
        for name, code, answered, reason in (
                ('libhccl.so', 5, {'HcclGetCommConfigCapability'}, collectives),
                ('libacl_op_compiler.so', 207000, COMPILER_ANSWERS, 'operators are not compiled at run time')):
            refused = sorted(test_acl_abi.symbols(artefacts.client_library_dir('acl') / name, '--defined-only') - answered)
            said = self.run_scenario('refused_beside', 'acl_program', name, str(code), *refused)
            self.assertEqual([f'accelpool: {one} is not carried: the program gets {code} ({reason})' for one in refused],
                             said.splitlines())
        said = self.run_scenario('refused_beside', 'acl_program', 'libhccl.so', '0', 'HcclGetCommConfigCapability')
        self.assertIn(f'the program gets 0 ({collectives})', said)

    def test_the_operator_compiler_is_off(self) -> None:
        said = self.run_scenario('compiler').splitlines()
        self.assertEqual(['aclSetCompileopt', 'aclGetCompileopt', 'aclCreateGraphDumpOpt'], [line.split()[1] for line in said])

    def test_kernels_that_are_registered(self) -> None:
        self.run_scenario('registered', 'acl_rt_program')

    def test_launches_of_operators_of_older_releases(self) -> None:
        self.run_scenario('registered_launches', 'acl_rt_program')

    def test_launches_of_every_kind(self) -> None:
        self.run_scenario('launches')

    def test_callbacks(self) -> None:
        self.run_scenario('callbacks', 'acl_waiting_program')

    def test_callbacks_that_are_late(self) -> None:
        self.run_scenario('callbacks_late', 'acl_waiting_program')

    def test_host_functions(self) -> None:
        self.run_scenario('host_functions', 'acl_waiting_program')

    def test_waits_that_end(self) -> None:
        self.run_scenario('limits', 'acl_waiting_program')

    def test_contexts_are_of_threads(self) -> None:
        self.run_scenario('contexts', 'acl_state_program')

    def test_what_is_told_of_streams(self) -> None:
        self.run_scenario('stream_states', 'acl_state_program')

    def test_reset_and_use_afterwards(self) -> None:
        self.run_scenario('reset', 'acl_state_program')

    def test_settings(self) -> None:
        self.run_scenario('settings', 'acl_state_program')

    def test_queries(self) -> None:
        self.run_scenario('queries', 'acl_state_program')

    def test_profiling(self) -> None:
        self.run_scenario('profiling', 'acl_state_program')

    def test_configured_memory(self) -> None:
        self.run_scenario('configured_memory', 'acl_state_program')

    def test_host_memory(self) -> None:
        self.run_scenario('host_memory')

    def test_errors_are_told_once(self) -> None:
        self.run_scenario('errors_told')

    def test_events_time_work(self) -> None:
        self.run_scenario('timing', 'acl_waiting_program')

    def test_two_processes_share_memory(self) -> None:
        self.run_scenario('shared', 'acl_sharing_program')

    def test_one_process_waits_for_anothers_event(self) -> None:
        self.run_scenario('shared_events', 'acl_sharing_program')

    def test_sharing_with_a_process_that_is_killed(self) -> None:
        self.run_scenario('shared_lost', 'acl_sharing_program')

    def test_sharing_that_makes_no_sense(self) -> None:
        self.run_scenario('shared_bad', 'acl_sharing_program')

    def test_a_child_has_no_session(self) -> None:
        self.run_scenario('forked')

    def test_what_needs_no_answer_does_not_wait_for_the_worker(self) -> None:
        with subprocess.Popen(command('unanswered'), env=self.agent.environment, cwd=ROOT, text=True, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
            assert program.stdout and program.stdin
            self.addCleanup(program.kill)
            self.assertEqual('ready\n', program.stdout.readline())
            worker = max(self.agent.pids.items())[1]
            os.kill(worker, signal.SIGSTOP)
            try:
                print('go', file=program.stdin, flush=True)
                waited = select.select([program.stdout], [], [], 60)[0]
            finally:
                os.kill(worker, signal.SIGCONT)
            self.assertTrue(waited, 'a call waited for the worker')
            out, errors = program.communicate(timeout=60)
            self.assertEqual((0, 'done\n'), (program.returncode, out), errors)

    def test_a_dead_worker_is_an_error_that_stays(self) -> None:
        with subprocess.Popen(command('lost'), env=self.agent.environment, cwd=ROOT, text=True, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
            assert program.stdout
            self.assertEqual('ready\n', program.stdout.readline())
            os.kill(max(self.agent.pids.items())[1], signal.SIGKILL)
            _out, errors = program.communicate('go\n', timeout=60)
            self.assertEqual(0, program.returncode, errors)


class InsideTls(unittest.TestCase):
    def test_programs_do_not_see_a_difference(self) -> None:
        with loopback.running(interface='acl', tcp=True, transport=handshake.Transport.TLS_PSK) as agent:
            for scenario, program in (('copies', 'acl_program'), ('launches', 'acl_program'),
                                      ('registered_launches', 'acl_rt_program')):
                result = subprocess.run(command(scenario, program), env=agent.environment, cwd=ROOT, capture_output=True,
                                        text=True, timeout=60)
                self.assertEqual((0, ''), (result.returncode, result.stderr))


class TwoDevices(unittest.TestCase):
    def test_streams_memory_and_resets_of_two(self) -> None:
        with loopback.running(interface='acl', devices=2) as agent:
            result = subprocess.run(command('two_devices', 'acl_state_program'), env=agent.environment, cwd=ROOT,
                                    capture_output=True, text=True, timeout=60)
        self.assertEqual((0, ''), (result.returncode, result.stderr))


class WithoutDevice(unittest.TestCase):
    def test_an_attachment_of_another_interface_is_no_device(self) -> None:
        with loopback.running() as agent, loopback.running(interface='acl') as other:
            environment = other.environment | {'ACCELPOOL_ATTACHMENT': str(agent.attachment)}
            program = 'import ctypes, sys; sys.exit(ctypes.CDLL("libascendcl.so").aclInit(None) != 207004)'
            result = subprocess.run([sys.executable, '-c', program], env=environment, capture_output=True, text=True)
            self.assertEqual(0, result.returncode, result.stderr)
            self.assertIn('no device that speaks acl', result.stderr)
