# SPDX-License-Identifier: Apache-2.0
"""An agent as a child of the embedded service: started, started again when it ends, ended with the service."""

import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from oslo_log import log as logging

LOG = logging.getLogger(__name__)

#: What the child does before it becomes the agent: ask for SIGTERM when its parent dies (prctl option 1 is
#: PR_SET_PDEATHSIG, see prctl(2)), and end at once when that has happened already.
BOOTSTRAP = (
    'import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 15); '
    'os.getppid() == int(sys.argv.pop(1)) or sys.exit(1); '
    'from accelpool.cmd.agent import main; sys.exit(main())'
)
#: Seconds before an agent is started again; doubled while it ends soon after its start.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
#: An agent that lived so many seconds did not fail at its start.
HEALTHY = 5.0
#: Seconds that an agent has to end its sessions when asked to.
GRACE = 10.0


class AgentProcess:
    """The agent of one host.

    One thread starts it and waits for it: the kernel sends the parent-death signal when the *thread* that
    started a child ends.
    """

    def __init__(self, host: str, arguments: Sequence[str], log: pathlib.Path, pid: int) -> None:
        """
        :param arguments: the agent's command line after its name
        :param log: file for its standard streams
        :param pid: this process
        """
        self._host = host
        self._command = [sys.executable, '-P', '-c', BOOTSTRAP, str(pid), *arguments]
        self._log = log
        self._stopped = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f'agent of {host}', daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the agent; its sessions end with it."""
        with self._lock:
            self._stopped.set()
            if self._process is not None:
                self._process.terminate()
        self._thread.join()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            with self._lock:
                if self._stopped.is_set():
                    return
                with self._log.open('ab') as log:
                    self._process = subprocess.Popen(
                        self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            started = time.monotonic()
            status = self._wait(self._process)
            if self._stopped.is_set():
                return
            pause = FIRST_PAUSE if time.monotonic() - started > HEALTHY else min(2 * pause, LONGEST_PAUSE)
            LOG.warning('The agent of %s ended with status %d; starting it again in %.1f s (log: %s)',
                        self._host, status, pause, self._log)
            self._stopped.wait(pause)

    def _wait(self, process: 'subprocess.Popen[bytes]') -> int:
        """Wait for the end; an agent that does not end when it is asked to is killed."""
        while True:
            try:
                return process.wait(GRACE)
            except subprocess.TimeoutExpired:
                if self._stopped.is_set():
                    process.kill()
