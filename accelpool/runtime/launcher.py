# SPDX-License-Identifier: Apache-2.0
"""Starts a program, passes signals on to it and returns its exit status as a shell would."""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

#: Passed on to the program.  SIGINT and SIGQUIT reach it from the terminal by themselves.
FORWARDED = frozenset({signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2,
                       signal.SIGWINCH, signal.SIGCONT})
IGNORED = frozenset({signal.SIGINT, signal.SIGQUIT})
_PR_SET_PDEATHSIG = 1


def run(command: Sequence[str], environment: Mapping[str, str],
        every: float, duty: Callable[[], None]) -> int:
    """Run ``command`` to its end and return its exit status (128 + N when signal N ended it).

    ``duty`` is called about every ``every`` seconds meanwhile.  A command that cannot be started
    returns 127 (not found) or 126, with the reason on stderr.  When this process is killed, the
    program is killed too.
    """
    watched = FORWARDED | IGNORED | {signal.SIGCHLD}
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
        _become(command, environment, parent)
    try:
        return _attend(child, watched, every, duty)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _become(command: Sequence[str], environment: Mapping[str, str], parent: int) -> NoReturn:
    """Turn the forked child into the program."""
    status = 126
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(status)
        os.execvpe(command[0], list(command), dict(environment))
    except FileNotFoundError:
        status = 127
        print(f'accelpool run: {command[0]}: command not found', file=sys.stderr)
    except OSError as failure:
        print(f'accelpool run: {command[0]}: {failure.strerror}', file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(status)


def _attend(child: int, watched: frozenset[signal.Signals], every: float, duty: Callable[[], None]) -> int:
    due = time.monotonic() + every
    while True:
        received = signal.sigtimedwait(watched, max(due - time.monotonic(), 0))
        if received is None:
            duty()
            due = time.monotonic() + every
        elif received.si_signo == signal.SIGCHLD:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return _exit_status(status)
        elif received.si_signo in FORWARDED:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, received.si_signo)


def _exit_status(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
