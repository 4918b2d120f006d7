# SPDX-License-Identifier: Apache-2.0
"""Files that survive a crash at any point: written beside, flushed, renamed."""

from __future__ import annotations

import fcntl
import json
import os
import pathlib
from typing import Any


def write(path: pathlib.Path, text: str, *, mode: int = 0o600, owner: int | None = None) -> None:
    """Replace a file in one step.

    :param owner: user id that the file shall have; the directory must be nobody else's than root's then
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f'.{path.name}.new')
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, 'w') as file:
        file.write(text)
        if owner is not None and owner != os.geteuid():
            os.fchown(file.fileno(), owner, -1)
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def write_json(path: pathlib.Path, value: Any, **options: Any) -> None:
    write(path, json.dumps(value, indent=1) + '\n', **options)


def read_json(path: pathlib.Path) -> dict[str, Any] | None:
    """Return what is in a file; None when it does not exist, or is none of ours."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


class Lock:
    """One keeper at a time; others can see whether there is one."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._descriptor = -1

    def take(self) -> bool:
        """Take it for the rest of this process's life; False: somebody else has it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        return self._try(self._descriptor, fcntl.LOCK_EX)

    def is_taken(self) -> bool:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return not self._try(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def _try(self, descriptor: int, kind: int) -> bool:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
