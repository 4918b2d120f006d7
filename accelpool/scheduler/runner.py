# SPDX-License-Identifier: Apache-2.0
"""A running scheduler: its messages, its heartbeat, and the reconciler."""

import logging
import threading

from oslo_config import cfg

from accelpool.allocations.reconciler import Reconciler
from accelpool.db import service as db_service
from accelpool.db import session as db_session
from accelpool.rpc import client, server, transport
from accelpool.scheduler.service import SchedulerService

LOG = logging.getLogger(__name__)

#: Messages handled at a time.  Claims of one database mostly wait for each other anyway.
THREADS = 4


class Runner:
    """Starts and stops everything of one scheduler; the embedded service runs it among others."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._interval = cfg.CONF.scheduler.reconcile_interval
        self._service = SchedulerService(client.ConductorClient, cfg.CONF.scheduler.down_after)
        self._reconciler = Reconciler(client.SchedulerClient(), client.ConductorClient, self._interval,
                                      cfg.CONF.scheduler.bind_timeout)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name='scheduler', daemon=True)

    def start(self) -> None:
        self._heartbeat()
        self._server = server.start(transport.SCHEDULER_TOPIC, self._host, self._service, threads=THREADS)
        self._thread.start()
        LOG.info('The scheduler %s serves', self._host)

    def stop(self) -> None:
        self._stopped.set()
        self._server.stop()
        self._server.wait()
        self._thread.join()

    def _heartbeat(self) -> None:
        db_session.retrying(lambda session: db_service.heard_of(
            session, 'accelpool-scheduler', self._host, topic=transport.SCHEDULER_TOPIC, version=transport.VERSION))

    def _loop(self) -> None:
        while not self._stopped.wait(self._interval):
            try:
                self._heartbeat()
                self._reconciler.run()
            except Exception:
                # The database or the bus is away: look again, for nothing is lost by waiting.
                LOG.exception('The reconciler could not do its work; next try in %d s', self._interval)
