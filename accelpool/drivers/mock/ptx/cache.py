# SPDX-License-Identifier: Apache-2.0
"""Translated modules by content. Only the translator writes the directory; others get read-only descriptors."""

import contextlib
import functools
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from accelpool.drivers.mock.ptx import compile as compiler

VERSION = 1
"""Of the translator: raised when the same PTX gives other C."""


@functools.cache
def _environment() -> bytes:
    """What the result depends on besides the PTX: translator, runtime headers, compiler, flags, target."""
    version = subprocess.run([compiler.COMPILER, '-dumpfullversion', '-dumpmachine'], capture_output=True,
                             check=False, timeout=30).stdout
    flags = repr([compiler.compiler_flags(size) for size in (0, 1 << 20, 1 << 30)]).encode()
    return b'\n'.join([b'%d' % VERSION, hashlib.sha256(compiler.RUNTIME.encode()).digest(), version, flags])


def cache_key(ptx: bytes) -> str:
    """SHA-256 (hexadecimal) of everything that decides what the shared object is."""
    text = ptx.rstrip(b'\0')
    digest = hashlib.sha256(_environment())
    digest.update(b'\n%d\n' % len(text))
    digest.update(text)
    return digest.hexdigest()


class Cache:
    """A directory of shared objects, mode 0444, each written under another name first."""

    def __init__(self, directory: Path, limit_bytes: int = 1 << 30) -> None:
        self.directory = directory
        self.limit_bytes = limit_bytes

    def open(self, ptx: bytes) -> int:
        """A read-only descriptor of the translated module; translates when it is new. Raises PtxError."""
        path = self.directory / f'{cache_key(ptx)}.so'
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            os.utime(descriptor)
            return descriptor
        self._evict()
        with tempfile.TemporaryDirectory(prefix='.new-', dir=self.directory) as scratch:
            fresh = Path(scratch) / 'module.so'
            compiler.compile_module(ptx, fresh)
            fresh.chmod(0o444)
            descriptor = os.open(fresh, os.O_RDONLY | os.O_CLOEXEC)
            fresh.replace(path)
        return descriptor

    def _evict(self) -> None:
        """Removes what was used longest ago while the directory is over its limit."""
        entries = []
        for path in self.directory.glob('*.so'):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                entries.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self.limit_bytes:
                return
            path.unlink(missing_ok=True)
            total -= size
