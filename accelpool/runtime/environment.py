# SPDX-License-Identifier: Apache-2.0
"""What a program needs around it to use an attachment: a private file and a loader path."""

import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any

from accelpool.remoting import artefacts


class AttachmentFile:
    """The attachment on disk: mode 0600 in a directory of its own, replaced atomically, removed at the end.

    The secret is in the file and nowhere else: not in the environment, not on a command line.
    """

    def __init__(self) -> None:
        runtime = os.environ.get('XDG_RUNTIME_DIR')
        parent = runtime if runtime and os.access(runtime, os.W_OK) else None
        self._directory = pathlib.Path(tempfile.mkdtemp(prefix='accelpool-', dir=parent))
        self.path = self._directory / 'attachment.json'

    def write(self, attachment: Mapping[str, Any]) -> None:
        """Write or replace the file."""
        fresh = self._directory / 'attachment.new'
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, 'w') as file:
            json.dump(attachment, file)
        fresh.replace(self.path)

    def remove(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)


def variables(attachment: Mapping[str, Any], path: pathlib.Path,
              inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the program's environment: the inherited one, our libraries first, the file's path."""
    interfaces = dict.fromkeys(device['interface'] for device in attachment['devices'])
    directories = [str(artefacts.client_library_dir(interface)) for interface in interfaces]
    if inherited.get('LD_LIBRARY_PATH'):
        directories.append(inherited['LD_LIBRARY_PATH'])
    return {**inherited, 'ACCELPOOL_ATTACHMENT': str(path), 'LD_LIBRARY_PATH': ':'.join(directories)}


def earliest_expiry(attachment: Mapping[str, Any]) -> float:
    """Return the Unix time at which the first credential of an attachment expires."""
    return min(float(device['expires']) for device in attachment['devices'])
