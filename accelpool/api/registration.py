# SPDX-License-Identifier: Apache-2.0
"""This API process among the services: registered with its first request, heard of as long as it runs.

The thread starts with a request, not with the application: a WSGI server loads the application before it forks.
"""

import os
import threading

from oslo_config import cfg

from accelpool.db import service as db_service
from accelpool.db import session as db
from accelpool.loop import Loop
from accelpool.rpc import transport

_lock = threading.Lock()
_registered: int | None = None


def ensure() -> None:
    """Register this process, unless that is done."""
    global _registered  # noqa: PLW0603  one registration for each process
    with _lock:
        if _registered == os.getpid():
            return
        _registered = os.getpid()
    Loop('registration', cfg.CONF.conductor.heartbeat_interval, _heard_of).start()


def _heard_of() -> None:
    db.retrying(lambda session: db_service.heard_of(
        session, db_service.API, cfg.CONF.api.name, version=transport.VERSION))
