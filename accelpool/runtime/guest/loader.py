# SPDX-License-Identifier: Apache-2.0
"""Our libraries before the vendor's on the loader's path, while there is something to use."""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Iterable

from accelpool.runtime.guest import config, files

#: Where the libraries lie: beside the package where accelpool is installed, else where the bundle puts them.
PLACES = (pathlib.Path(__file__).parents[2] / '_native/lib', pathlib.Path('/usr/local/lib/accelpool'),
          pathlib.Path('/usr/lib/accelpool'))
_HEAD = '# Written by accelpool-guest; removed when it stops.\n'


class Missing(Exception):
    """The client library of an interface is not installed."""


def directories(conf: config.Config, interfaces: Iterable[str]) -> list[pathlib.Path]:
    """:raises Missing:"""
    places = (conf.libraries,) if conf.libraries else PLACES
    found = []
    for interface in dict.fromkeys(interfaces):
        having = [place / interface for place in places if any((place / interface).glob('*.so.*'))]
        if not having:
            raise Missing(f'there is no client library for {interface} in {", ".join(str(place) for place in places)}')
        found.append(having[0])
    return found


def put(conf: config.Config, places: list[pathlib.Path]) -> None:
    """Make programs find the libraries in ``places`` first; none: take everything back."""
    if conf.loader == 'ldconfig':
        _configure(conf.loader_file, places)
    elif conf.loader == 'environment':
        _write(conf.run_dir / 'environment',
               f'LD_LIBRARY_PATH={":".join(str(place) for place in places)}\n' if places else '')


def _configure(path: pathlib.Path, places: list[pathlib.Path]) -> None:
    if _write(path, _HEAD + ''.join(f'{place}\n' for place in places) if places else ''):
        subprocess.run(['/sbin/ldconfig'], check=False, capture_output=True)


def _write(path: pathlib.Path, text: str) -> bool:
    """Make a file say ``text``, or be gone when that is empty; returns whether anything changed."""
    try:
        if text and path.read_text() == text:
            return False
    except OSError:
        pass
    if text:
        files.write(path, text, mode=0o644)
        return True
    existed = path.exists()
    path.unlink(missing_ok=True)
    return existed
