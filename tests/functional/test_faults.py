# SPDX-License-Identifier: Apache-2.0
"""What happens when something is killed: a clear error, never a hang, and everything is given back."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest
from collections.abc import Callable, Iterator

from tools.bench import service

ROOT = pathlib.Path(__file__).parents[2]
REMOTE = ('--profile', 'small', '--consumer-host', 'host-a', '--locality', 'remote')
#: Seconds after which a test gives up; what it waits for takes a second or two.
PATIENCE = 30

# Says "ready" once it has memory and a context, then calls until a call fails and says with which code.
LOOP = """
import sys, time
sys.path.insert(0, "examples")
import cuda_driver as cuda
cuda.start()
cuda.write(cuda.allocate(1 << 20), b"x" * (1 << 20))
print("ready", flush=True)
try:
    while True:
        cuda.synchronize()
        time.sleep(0.01)
except cuda.CudaError as failure:
    print("error", failure.code, flush=True)
"""


def wait_for(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f'{what}: not within {patience} s')
        time.sleep(0.05)


def descendants(pid: int) -> Iterator[int]:
    for task in pathlib.Path(f'/proc/{pid}/task').iterdir():
        for child in (task / 'children').read_text().split():
            yield int(child)
            yield from descendants(int(child))


def command_line(pid: int) -> str:
    try:
        return pathlib.Path(f'/proc/{pid}/cmdline').read_bytes().replace(b'\0', b' ').decode()
    except (FileNotFoundError, ProcessLookupError):
        return ''


class Faults(unittest.TestCase):
    def setUp(self) -> None:
        running = service.running()
        self.service = running.__enter__()
        self.addCleanup(running.__exit__, None, None, None)

    def start(self, *command: str) -> 'subprocess.Popen[str]':
        """Start a command on a small slice and wait until it says "ready"."""
        process = subprocess.Popen(
            self.service.accelpool('run', *REMOTE, '--', *command), env=self.service.environment, cwd=ROOT,
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual('ready\n', process.stdout.readline())
        return process

    def accelpool(self, *words: str) -> list[dict[str, object]]:
        output = subprocess.run(self.service.accelpool(*words, '-f', 'json'), env=self.service.environment,
                                check=True, capture_output=True, text=True).stdout
        found: list[dict[str, object]] = json.loads(output)
        return found

    def workers(self) -> list[int]:
        """Return the processes that serve sessions: children of the agents' fork servers."""
        found = [pid for pid in descendants(self.service.process.pid) if 'accelpool-worker' in command_line(pid)]
        return [pid for pid in found if int(
            pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[1]) in found]

    def agents(self) -> list[int]:
        return [pid for pid in descendants(self.service.process.pid)
                if 'accelpool.cmd.agent' in command_line(pid) or 'accelpool-agent' in command_line(pid)]

    def whole(self) -> bool:
        return all(device['free_memory'] == device['memory'] and not device['slices']
                   for device in self.accelpool('device', 'list'))

    def ended_with_an_error(self, process: 'subprocess.Popen[str]') -> None:
        """The program's next call failed, and did not hang."""
        word, code = process.stdout.readline().split()
        self.assertEqual('error', word)
        self.assertNotEqual(0, int(code))

    def test_killed_worker(self) -> None:
        process = self.start(sys.executable, '-c', LOOP)
        (worker,) = self.workers()
        os.kill(worker, signal.SIGKILL)
        self.ended_with_an_error(process)
        self.assertEqual(0, process.wait(PATIENCE))
        wait_for(self.whole, 'the pool is whole')

    def test_killed_program(self) -> None:
        process = self.start(sys.executable, '-c', LOOP)
        program = next(pid for pid in descendants(process.pid) if 'cuda_driver' in command_line(pid))
        os.kill(program, signal.SIGKILL)
        self.assertEqual(128 + signal.SIGKILL, process.wait(PATIENCE))
        wait_for(self.whole, 'the pool is whole')
        self.assertEqual([], self.workers())

    def test_killed_run_takes_its_program_along_and_gives_the_slice_back(self) -> None:
        process = self.start(sys.executable, '-c', LOOP)
        program = next(pid for pid in descendants(process.pid) if 'cuda_driver' in command_line(pid))
        process.kill()
        wait_for(lambda: not command_line(program), 'the program is gone')
        wait_for(self.whole, 'the pool is whole')

    def test_terminated_run_passes_the_signal_on(self) -> None:
        process = self.start(sys.executable, '-c', LOOP)
        process.terminate()
        self.assertEqual(128 + signal.SIGTERM, process.wait(PATIENCE))
        wait_for(self.whole, 'the pool is whole')

    def test_killed_agent_ends_sessions_and_a_new_one_takes_over(self) -> None:
        process = self.start(sys.executable, '-c', LOOP)
        for agent in self.agents():
            os.kill(agent, signal.SIGKILL)
        self.ended_with_an_error(process)
        process.wait(PATIENCE)
        wait_for(lambda: len(self.agents()) >= 2, 'the agents are back')
        wait_for(self.whole, 'the pool is whole')
        again = self.start(sys.executable, '-c', LOOP)
        again.terminate()
        again.wait(PATIENCE)

    def test_deleted_allocation_ends_its_sessions(self) -> None:
        process = self.start(sys.executable, '-c', LOOP)
        (allocation,) = self.accelpool('allocation', 'list')
        subprocess.run(self.service.accelpool('allocation', 'delete', str(allocation['id']), '--wait'),
                       env=self.service.environment, check=True, stderr=subprocess.DEVNULL)
        self.ended_with_an_error(process)
        wait_for(self.whole, 'the pool is whole')

    def test_killed_service_keeps_no_slice_after_its_restart(self) -> None:
        """The whole service dies with a program on a slice; started again, it gives back what nobody holds."""
        process = self.start(sys.executable, '-c', LOOP)
        self.service.kill_and_restart()
        process.wait(PATIENCE)
        wait_for(self.whole, 'the pool is whole')  # `run` said that it is done as soon as somebody listened again
        again = self.start(sys.executable, '-c', LOOP)
        again.terminate()
        again.wait(PATIENCE)
