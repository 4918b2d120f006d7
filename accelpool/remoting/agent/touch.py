# SPDX-License-Identifier: Apache-2.0
"""The page through which workers account for host memory that emulated devices really touch.

Layout (native/worker/forkserver.c): u64 limit, u64 total, then one u64 for each slot.  Workers add to the total and to
their slot; the fork server subtracts a dead worker's slot.
"""

import mmap
import os
import struct

PAGE = 4096
SLOTS = (PAGE - 16) // 8


class TouchPage:
    """A memfd that all workers of this host map."""

    def __init__(self, limit: int) -> None:
        """:param limit: bytes"""
        self.descriptor = os.memfd_create('accelpool-touch', os.MFD_CLOEXEC)
        os.ftruncate(self.descriptor, PAGE)
        self._page = mmap.mmap(self.descriptor, PAGE)
        struct.pack_into('<Q', self._page, 0, limit)
        self._free = list(range(SLOTS - 1, -1, -1))

    @property
    def limit(self) -> int:
        return int(struct.unpack_from('<Q', self._page, 0)[0])

    @property
    def total(self) -> int:
        return int(struct.unpack_from('<Q', self._page, 8)[0])

    def take(self) -> int | None:
        """Return a free slot, or None: as many sessions as a host can have are there."""
        return self._free.pop() if self._free else None

    def give(self, slot: int) -> None:
        self._free.append(slot)
