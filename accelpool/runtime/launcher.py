# SPDX-License-Identifier: Apache-2.0
"""Starts a program, passes signals on to it and returns its exit status as a shell would."""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    with _signals() as (received, restore):
        parent = os.getpid()
        # What the terminal sends to both waits until the child handles it as the program will.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED | IGNORED)
        child = os.fork()
        if child == 0:
            _become(command, environment, parent, lambda: (restore(), signal.pthread_sigmask(signal.SIG_SETMASK, mask)))
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return _attend(child, received, every, duty)


@contextlib.contextmanager
def _signals() -> Iterator[tuple[int, Callable[[], None]]]:
    """Yields a descriptor on which the numbers of the signals arrive that are ours meanwhile, and what undoes that.

    Waiting for a blocked signal would not do: a thread that does not block it takes it, and it is lost.
    """
    received, written = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    previous_descriptor = signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    previous = {one: signal.signal(one, lambda _number, _frame: None)
                for one in FORWARDED | IGNORED | {signal.SIGCHLD}}

    def restore() -> None:
        for one, handler in previous.items():
            signal.signal(one, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(previous_descriptor)

    try:
        yield received, restore
    finally:
        restore()
        os.close(received)
        os.close(written)


def _become(command: Sequence[str], environment: Mapping[str, str], parent: int,
            handle: Callable[[], object]) -> NoReturn:
    """Turn the forked child into the program.

    :param handle: gives it the handling of signals that the program is to have
    """
    status = 126
    try:
        handle()
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


def _attend(child: int, received: int, every: float, duty: Callable[[], None]) -> int:
    due = time.monotonic() + every
    while True:
        if select.select([received], [], [], max(due - time.monotonic(), 0))[0]:
            for number in FORWARDED.intersection(os.read(received, 4096)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, number)
        else:
            duty()
            due = time.monotonic() + every
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return _exit_status(status)


def _exit_status(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
