# SPDX-License-Identifier: Apache-2.0
"""User ids of their own for sessions and translators, where the agent is root.

Several agents of one machine must not give the same uid to two sessions.  They share one lock file: byte n belongs to
whoever uses uid FIRST + n, and the kernel frees it when that agent dies.
"""

import contextlib
import errno
import fcntl
import os
import pathlib
import struct

#: systemd's "UIDs and GIDs" page lists 1879048192 and up as used by nobody; containers with a 64 Ki map get the others.
RANGES = ((1_900_000_000, 10_000), (40_000, 10_000))
LOCK_FILE = pathlib.Path('/run/accelpool-uids')


def _mapped(first: int, count: int) -> bool:
    """Whether this user namespace knows the ids."""
    for kind in ('uid', 'gid'):
        inside = False
        for line in pathlib.Path(f'/proc/self/{kind}_map').read_text().splitlines():
            start, _, length = (int(word) for word in line.split())
            inside |= start <= first and first + count <= start + length
        if not inside:
            return False
    return True


class Uids:
    """Takes and gives back uids; ``available`` is False where sessions have to share the agent's own."""

    def __init__(self, lock_file: pathlib.Path = LOCK_FILE) -> None:
        self._first, self._count = next((r for r in RANGES if os.geteuid() == 0 and _mapped(*r)), (0, 0))
        self._next = 0
        self._taken: set[int] = set()
        self._lock = -1
        if self._count:
            with contextlib.suppress(OSError):  # for example a read-only /run
                self._lock = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    @property
    def available(self) -> bool:
        return self._lock >= 0

    def take(self) -> int | None:
        """Return a uid (and gid) that nobody else on this machine uses; None: there is none.

        They go round, so that what a session left behind does not soon belong to another one.
        """
        for _ in range(self._count if self.available else 0):
            uid = self._first + self._next
            self._next = (self._next + 1) % self._count
            if self.take_this(uid):
                return uid
        return None

    def take_this(self, uid: int) -> bool:
        """Take one certain uid; False: somebody has it, or it is none of ours."""
        if not self.available or not self._first <= uid < self._first + self._count:
            return False
        try:
            fcntl.fcntl(self._lock, fcntl.F_OFD_SETLK, self._region(fcntl.F_WRLCK, uid - self._first))
        except OSError as failure:
            if failure.errno in {errno.EAGAIN, errno.EACCES}:
                return False
            raise
        # The lock is this process's, so it does not tell one session of ours from another.
        if uid in self._taken:
            return False
        self._taken.add(uid)
        return True

    def give(self, uid: int | None) -> None:
        """Free a uid; None is ignored."""
        if uid is not None:
            self._taken.remove(uid)
            fcntl.fcntl(self._lock, fcntl.F_OFD_SETLK, self._region(fcntl.F_UNLCK, uid - self._first))

    @staticmethod
    def _region(kind: int, byte: int) -> bytes:
        """struct flock (fcntl(2)), for one byte."""
        return struct.pack('hhqqi4x', kind, os.SEEK_SET, byte, 1, 0)
