# SPDX-License-Identifier: Apache-2.0
"""Module images that programs of a project have loaded before: the second run of a program uploads nothing.

An image is known by its SHA-256 within its project only, so that nobody learns what another project runs.  It stands in
a sealed memory file; workers get descriptors for reading.
"""

import collections
import fcntl
import hashlib
import mmap
import os

MIB = 1 << 20
#: Bytes of one image; native/worker/cuda/modules.h has the same.
IMAGE_MAX = 16 * MIB
#: Bytes of all images of this host.
TOTAL_MAX = 64 * MIB
#: Images of this host: each costs a descriptor.
IMAGES_MAX = 256
DIGEST = 32

_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


def is_genuine(descriptor: int, digest: bytes, length: int) -> bool:
    """Return whether the file can change no more and is what the worker says; reads all of it."""
    try:
        if not 0 < length <= IMAGE_MAX or fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & _SEALS != _SEALS:
            return False
        if os.fstat(descriptor).st_size != length:
            return False
        with mmap.mmap(descriptor, length, prot=mmap.PROT_READ) as image:
            return hashlib.sha256(image).digest() == digest
    except OSError:  # not a memory file
        return False


class ContentCache:
    """Images by project and digest; the one that was not used for longest goes first."""

    def __init__(self, limit: int = TOTAL_MAX) -> None:
        self._limit = limit
        self._total = 0
        self._images: collections.OrderedDict[tuple[str, bytes], tuple[int, int]] = collections.OrderedDict()

    def find(self, project: str, digest: bytes) -> tuple[int, int] | None:
        """Return descriptor (the cache's own) and length, or None."""
        image = self._images.get((project, digest))
        if image is not None:
            self._images.move_to_end((project, digest))
        return image

    def keep(self, project: str, digest: bytes, descriptor: int, length: int) -> None:
        """Take a genuine image; the descriptor stays the caller's."""
        if (project, digest) in self._images or length > self._limit:
            return
        # Opened anew: a descriptor for reading, whatever the worker's allows.
        own = os.open(f'/proc/self/fd/{descriptor}', os.O_RDONLY | os.O_CLOEXEC)
        self._images[project, digest] = own, length
        self._total += length
        while self._total > self._limit or len(self._images) > IMAGES_MAX:
            _name, (oldest, size) = self._images.popitem(last=False)
            os.close(oldest)
            self._total -= size

    def close(self) -> None:
        """Forget everything."""
        while self._images:
            _name, (descriptor, _size) = self._images.popitem()
            os.close(descriptor)
        self._total = 0
