# SPDX-License-Identifier: Apache-2.0
"""The attachment for each user who may use the slices: a file that this user alone can read.

The client library looks for ``/run/accelpool-guest/<uid>.json`` when ``ACCELPOOL_ATTACHMENT`` names no other file.
"""

from __future__ import annotations

import json
import pwd
from typing import Any

from accelpool.runtime.guest import config, files


def unknown_users(conf: config.Config) -> list[str]:
    return [name for name in conf.users if _uid(name) is None]


def deliver(conf: config.Config, attachment: dict[str, Any] | None) -> None:
    """Write everybody's file, and remove those of who may not any more; None removes all."""
    conf.run_dir.mkdir(parents=True, exist_ok=True)
    conf.run_dir.chmod(0o755)
    wanted = {uid for uid in map(_uid, conf.users) if uid is not None} if attachment else set()
    for path in conf.run_dir.glob('*.json'):
        if path.stem.isdigit() and int(path.stem) not in wanted:
            path.unlink()
    for uid in wanted:
        files.write(conf.run_dir / f'{uid}.json', json.dumps(attachment), owner=uid)


def _uid(name: str) -> int | None:
    try:
        return int(name) if name.isdigit() else pwd.getpwnam(name).pw_uid
    except KeyError:
        return None
