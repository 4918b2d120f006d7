# SPDX-License-Identifier: Apache-2.0
"""MPS on a host of a test: the control program, the daemons that were started with it, and a libcuda.so.1 that knows MPS."""

import contextlib
import fcntl
import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
from typing import Any

from accelpool.remoting import artefacts
from tests.support import processes

HERE = pathlib.Path(__file__).parent
BUILD = HERE.parents[2] / 'build/tests/mps'


@functools.cache
def library() -> pathlib.Path:
    """Build the ``libcuda.so.1`` of a host with MPS: the client in front of the emulated library."""
    emulated, target = artefacts.emulated_library('cuda'), BUILD / 'libcuda.so.1'
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / 'lock').open('w') as lock:  # tests run in several processes
        fcntl.flock(lock, fcntl.LOCK_EX)
        fresh = target.with_suffix('.new')
        subprocess.run(
            ['gcc', '-std=c11', '-D_GNU_SOURCE', '-O1', '-g', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared',
             '-fvisibility=hidden', '-o', str(fresh), str(HERE / 'cuda.c'), '-Wl,--no-as-needed', str(emulated),
             f'-Wl,-rpath,{emulated.parent}'], check=True)
        fresh.replace(target)
    return target


class Mps:
    """``control`` is the program, ``pipes`` the directory below which a daemon has its own for each GPU."""

    def __init__(self, place: pathlib.Path) -> None:
        self.control = place / 'nvidia-cuda-mps-control'
        self.pipes = place / 'mps'
        self.know('-M')

    def know(self, *options: str) -> None:
        """Make the control program one that knows these options beside ``-d``."""
        self.control.write_text(f'#!/bin/sh\nFAKE_MPS_OPTIONS="{" ".join(options)}" exec {sys.executable} -I -S '
                                f'{HERE / "control.py"} "$@"\n')
        self.control.chmod(0o755)

    def daemon(self, uuid: str) -> int | None:
        """Return the process of a GPU's daemon."""
        try:
            pid = int((self._pipe(uuid) / 'nvidia-cuda-mps-control.pid').read_text())
        except (OSError, ValueError):
            return None
        return pid if processes.alive(pid) else None

    def state(self, uuid: str) -> dict[str, Any]:
        """Return what a GPU's daemon has noted: ``options``, ``devices``, ``server`` (a process), ``clients``."""
        found: dict[str, Any] = json.loads((self._pipe(uuid) / 'state.json').read_text())
        return found

    def kill(self, uuid: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a GPU's daemon."""
        pid = self.daemon(uuid)
        assert pid is not None
        os.kill(pid, number)

    def end(self) -> None:
        """End whatever still runs."""
        for path in self.pipes.glob('*/pipe'):
            if self.daemon(path.parent.name) is not None:
                with contextlib.suppress(ProcessLookupError):
                    self.kill(path.parent.name)

    def _pipe(self, uuid: str) -> pathlib.Path:
        return self.pipes / uuid / 'pipe'
