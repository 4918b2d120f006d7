# SPDX-License-Identifier: Apache-2.0
"""The device under test, programs on it natively and on slices, and where the figures go."""

import dataclasses
import functools
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from collections.abc import Mapping
from typing import Any

from accelpool import errors
from accelpool.drivers.nvidia import remoting
from accelpool.drivers.nvidia.channel import Channel
from accelpool.remoting import artefacts
from tests.hardware.verdicts import Verdict

ROOT = pathlib.Path(__file__).parents[2]
BUILD = ROOT / 'build/hw'
HOST = 'hardware'
EMULATED = os.environ.get('ACCELPOOL_HW_EMULATED') == '1'
MUTATE = os.environ.get('ACCELPOOL_HW_MUTATE') == '1'
#: Directory of NVIDIA's libraries where the loader does not find them; None: it does.
LIBRARIES = os.environ.get('ACCELPOOL_HW_LIBRARIES')
EMULATED_DEVICE = 'name=rehearsal;memory_mib=2048;cc=8.6;sm=16;pci=0000:02:00.0'


@functools.cache
def target() -> str:
    """Return what is tested: ``emulated``, ``nvidia: <uuid>``, or why there is nothing."""
    if EMULATED:
        return 'emulated'
    channel = Channel(20.0, LIBRARIES)
    try:
        host = channel.ask('host', channel.deadline, deadline=2 * channel.deadline)
        found = [uuid for _, uuid in host['devices'] if isinstance(uuid, str)]
    except errors.DriverError as error:
        return f'no NVIDIA GPU: {error.detail}'
    finally:
        channel.close()
    return f'nvidia: {found[0]}' if found else 'no NVIDIA GPU: the driver is loaded and finds none'


def missing() -> str:
    """Return why nothing can be tested here; empty when it can."""
    if target().startswith('no '):
        return target()
    return '' if (BUILD / 'program').exists() else 'build/hw is missing: run tools/hw/build.sh'


class HardwareCase(unittest.TestCase):
    """Each test is skipped, and counted, without a device; ``real`` says that figures count."""

    real = target().startswith('nvidia')

    def setUp(self) -> None:
        if missing():
            self.skipTest(missing())

    def need_real(self) -> None:
        if not self.real:
            self.skipTest('rehearsed on an emulated device, which this concerns not')


def note(name: str, **figures: Any) -> None:
    """Keep figures for the documentation; they are printed as well."""
    print(f'figure: {name}: {json.dumps(figures)}', flush=True)
    path = os.environ.get('ACCELPOOL_HW_RESULTS')
    if path:
        file = pathlib.Path(path)
        known = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(known | {name: figures}, indent=1))


#: What was judged in this run.
verdicts: list[Verdict] = []


def judge(*found: Verdict) -> None:
    """Keep verdicts; on an emulated device figures say nothing, and nothing is judged."""
    if not EMULATED:
        verdicts.extend(found)
        for one in found:
            note(f'verdict {one.name}', **dataclasses.asdict(one))


def transport_rate(tcp: bool, seconds: float = 1.0) -> float:
    """Return the GB/s that a bare socket carries on this machine: loopback TCP, or a pair of unix sockets."""
    if tcp:
        with socket.create_server(('127.0.0.1', 0)) as server:
            near = socket.create_connection(server.getsockname())
            far, _ = server.accept()
    else:
        near, far = socket.socketpair()
    block = bytes(4 << 20)

    def send() -> None:
        end = time.monotonic() + seconds
        with near:
            while time.monotonic() < end:
                near.sendall(block)

    sender = threading.Thread(target=send)
    with far:
        buffer, got, begin = bytearray(4 << 20), 0, time.monotonic()
        sender.start()
        while count := far.recv_into(buffer):
            got += count
        took = time.monotonic() - begin
        sender.join()
    return got / took / 1e9


def kernels() -> list[pathlib.Path]:
    """Return the images to try: PTX, and the cubin of this device."""
    found = [BUILD / 'kernels.ptx']
    if not EMULATED:
        channel = Channel(20.0, LIBRARIES)
        capability = channel.ask('identity', target().split()[1])['compute_capability'].replace('.', '')
        channel.close()
        cubin = BUILD / f'kernels.sm_{capability}.cubin'
        if cubin.exists():
            found.append(cubin)
    return found


def command(*words: object, image: pathlib.Path | None = None) -> list[str]:
    """Return the command line of the suite's program."""
    return [str(BUILD / 'program'), str(image or BUILD / 'kernels.ptx'), *map(str, words)]


def native(*words: object, image: pathlib.Path | None = None, extra: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run the program on the device itself; ``extra`` is added to its environment."""
    with tempfile.TemporaryDirectory() as place:
        environment = {key: value for key, value in os.environ.items() if not key.startswith('ACCELPOOL_ATTACHMENT')}
        environment |= extra or {}
        if EMULATED:
            pathlib.Path(place, 'libcuda.so.1').symlink_to(artefacts.emulated_library('cuda'))
            environment |= {'LD_LIBRARY_PATH': place, 'ACCELPOOL_EMU_DEVICE': EMULATED_DEVICE,
                            'ACCELPOOL_TRANSLATOR': f'{sys.executable} -m accelpool.drivers.mock.ptx'}
        else:
            environment['LD_LIBRARY_PATH'] = str(remoting.library(LIBRARIES).parent)
        done = subprocess.run(command(*words, image=image), env=environment, capture_output=True, text=True,
                              timeout=120, check=False)
    return answer(done.stdout, done.stderr)


def answer(output: str, errors_: str = '') -> dict[str, Any]:
    lines = output.strip().splitlines()
    if not lines:
        raise AssertionError(f'the program said nothing: {errors_[-2000:]}')
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def nvidia(libraries: str | None) -> str:
    """Return the service's options for the NVIDIA driver, whose libraries are in a directory."""
    return '[conductor]\ndrivers = nvidia\n[nvidia]\ndrain_foreign = false\nhost_memory_access = allow\n' \
        + (f'library_dir = {libraries}\n' if libraries is not None else '')


class Pool:
    """The whole service on this machine with the one device in it."""

    def __init__(self, drivers: str | None = None) -> None:
        """:param drivers: options of another driver than the one of the target, beginning with ``[conductor]``"""
        self._place = tempfile.TemporaryDirectory(prefix='acp-', dir='/tmp')
        place = pathlib.Path(self._place.name)
        options = f'[embedded]\nhosts = {HOST}\n'
        if drivers is not None:
            options += drivers
        elif EMULATED:
            options += f'[conductor]\ndrivers = mock\n[mock:{HOST}]\ndevices = rehearsal:2GiB:1\n'
        else:
            # The suite's own native programs are no reason to refuse the slice after them.
            options += nvidia(LIBRARIES)
        (place / 'service.conf').write_text(options)
        self._log = place / 'service.log'
        self.environment = {**os.environ, 'ACCELPOOL_HOME': str(place / 'state'), 'OS_CLOUD': 'accelpool',
                            'OS_CLIENT_CONFIG_FILE': str(place / 'clouds.yaml')}
        with self._log.open('wb') as log:
            self._service = subprocess.Popen(
                [sys.executable, '-W', 'ignore', '-m', 'accelpool.cmd.all', '--config-file', str(place / 'service.conf'),
                 '--clouds-yaml'], env=self.environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not (place / 'clouds.yaml').exists():
            if self._service.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f'the service did not start:\n{self._log.read_text()[-4000:]}')
            time.sleep(0.05)

    def close(self) -> None:
        self._service.terminate()
        self._service.wait(30)
        self._place.cleanup()

    def cli(self, *words: object) -> list[str]:
        return [sys.executable, '-W', 'ignore', '-c', 'import sys; from accelpool.cli import shell; sys.exit(shell.main())',
                *map(str, words)]

    def show(self, *words: object) -> Any:
        done = subprocess.run(self.cli(*words, '-f', 'json'), env=self.environment, capture_output=True, text=True,
                              timeout=120, check=False)
        if done.returncode:
            raise AssertionError(f'{words}: {done.stderr[-2000:]}\n{self._log.read_text()[-3000:]}')
        return json.loads(done.stdout)

    def wait_until_well(self, seconds: float = 60) -> None:
        """Wait until every device can take a slice: what a test before did to it is over when the conductor has looked."""
        deadline = time.monotonic() + seconds
        while not (found := self.show('device', 'list')) or any(one['health'] != 'ok' for one in found):
            if time.monotonic() > deadline:
                raise AssertionError(f'not well within {seconds:g} s: {found}\n{self._log.read_text()[-3000:]}')
            time.sleep(0.5)

    def start(self, *words: object, image: pathlib.Path | None = None, options: tuple[object, ...] = (),
              tcp: bool = False) -> 'subprocess.Popen[str]':
        """Start the program on a slice: over a unix socket, or over TCP as from another host."""
        self.wait_until_well()
        where = ('--consumer-host', 'elsewhere') if tcp else ('--consumer-host', HOST)
        return subprocess.Popen(
            self.cli('run', *where, *(options or ('--compute', 100, '--memory', 1024)), '--',
                     *command(*words, image=image)),
            env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    @staticmethod
    def begin(*programs: 'subprocess.Popen[str]') -> None:
        """Let programs that were started with ``wait`` begin together, as soon as all are ready."""
        for program in programs:
            assert program.stdout is not None
            if not program.stdout.readline():
                raise AssertionError(f'the program said nothing: {program.communicate(timeout=60)[1][-2000:]}')
        for program in programs:
            assert program.stdin is not None
            program.stdin.write('\n')
            program.stdin.flush()

    def run(self, *words: object, **how: Any) -> dict[str, Any]:
        """Run the program on a slice and return what it says."""
        output, errors_ = self.start(*words, **how).communicate(timeout=180)
        return answer(output, errors_ + self._log.read_text()[-2000:])
