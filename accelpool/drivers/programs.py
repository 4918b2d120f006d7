# SPDX-License-Identifier: Apache-2.0
"""Which programs the processes on a device are."""

import os

#: What serves sessions: a process of that name on a device belongs to the pool.
WORKER = 'accelpool-worker'


def program(pid: int) -> str:
    """Return the name of a process's program; empty when it has gone."""
    try:
        return os.path.basename(os.readlink(f'/proc/{pid}/exe'))
    except OSError:
        return ''
