# SPDX-License-Identifier: Apache-2.0
"""Which programs the processes on a device are."""

import os
import pathlib

#: What serves sessions: a process of that name on a device belongs to the pool.
WORKER = 'accelpool-worker'


def program(pid: int) -> str:
    """Return the name of a process's program; empty when it has gone.

    Another user's process, which sessions are to a conductor that is not root, does not show its program.  It still
    shows what it was called with, which is the same of those that are asked for here.
    """
    try:
        path = os.readlink(f'/proc/{pid}/exe').removesuffix(' (deleted)')  # an upgrade has replaced it
    except PermissionError:
        path = _called(pid)
    except OSError:
        return ''
    return os.path.basename(path)


def _called(pid: int) -> str:
    try:
        return os.fsdecode(pathlib.Path(f'/proc/{pid}/cmdline').read_bytes().partition(b'\0')[0])
    except OSError:
        return ''
