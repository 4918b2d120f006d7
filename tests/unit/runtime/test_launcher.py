# SPDX-License-Identifier: Apache-2.0
import contextlib
import io
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

from accelpool.runtime import launcher


def run(*command: str) -> int:
    return launcher.run(command, os.environ, 60, lambda: None)


class Launcher(unittest.TestCase):
    def test_exit_status_is_what_a_shell_would_say(self) -> None:
        self.assertEqual(0, run('true'))
        self.assertEqual(7, run('sh', '-c', 'exit 7'))
        self.assertEqual(128 + signal.SIGKILL, run('sh', '-c', 'kill -KILL $$'))

    def test_what_cannot_be_started(self) -> None:
        with contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(127, run('/no/such/command'))
            self.assertEqual(126, run('/etc/passwd'))

    def test_environment_is_exactly_the_one_given(self) -> None:
        self.assertEqual(0, launcher.run(
            ['sh', '-c', 'test "$ONLY" = this -a -z "$HOME"'], {'ONLY': 'this', 'PATH': os.environ['PATH']},
            60, lambda: None))

    def test_duty_is_done_while_the_command_runs(self) -> None:
        with tempfile.TemporaryDirectory() as place:
            stop = pathlib.Path(place, 'stop')
            calls: list[None] = []

            def duty() -> None:
                calls.append(None)
                if len(calls) == 3:
                    stop.touch()

            self.assertEqual(0, launcher.run(
                ['sh', '-c', f'while ! test -e {stop}; do sleep 0.01; done'], os.environ, 0.01, duty))
        self.assertGreaterEqual(len(calls), 3)

    def test_its_end_is_noticed_beside_other_threads(self) -> None:
        done = threading.Event()
        other = threading.Thread(target=done.wait)
        other.start()
        try:
            for _ in range(100):
                self.assertEqual(0, run('true'))
        finally:
            done.set()
            other.join()

    def test_signals_reach_the_command_and_the_terminal_keys_do_not_end_us(self) -> None:
        program = (
            'import os, sys; from accelpool.runtime import launcher;'
            'sys.exit(launcher.run(["sh", "-c", "trap \'exit 9\' USR1; echo ready; while :; do sleep 0.01; done"],'
            ' os.environ, 60, lambda: None))')
        process = subprocess.Popen([sys.executable, '-c', program], stdout=subprocess.PIPE, text=True)
        self.assertEqual('ready\n', process.stdout.readline())
        process.send_signal(signal.SIGINT)  # to us alone: the terminal would send it to the command as well
        process.send_signal(signal.SIGUSR1)
        self.assertEqual(9, process.wait(30))
        process.stdout.close()
