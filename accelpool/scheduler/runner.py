# SPDX-License-Identifier: Apache-2.0
"""A running scheduler: its messages, its heartbeat, the reconciler, and the inventory in Placement."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from oslo_config import cfg

from accelpool.allocations.reconciler import Reconciler
from accelpool.consumers import nova, nova_notifications
from accelpool.db import service as db_service
from accelpool.db import session as db_session
from accelpool.loop import Loop
from accelpool.placement import sync
from accelpool.rpc import client, server, transport
from accelpool.scheduler.service import SchedulerService

if TYPE_CHECKING:
    import oslo_messaging  # accelpool.rpc must be the first to import it

LOG = logging.getLogger(__name__)

#: Messages handled at a time.  Claims of one database mostly wait for each other anyway.
THREADS = 4


class Runner:
    """Starts and stops everything of one scheduler; the embedded service runs it among others.

    One that an operator has disabled registers and does nothing else, until it is enabled again.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        interval = cfg.CONF.scheduler.reconcile_interval
        self._service = SchedulerService(client.ConductorClient, cfg.CONF.scheduler.down_after, _metrics())
        self._reconciler = Reconciler(client.SchedulerClient(), client.ConductorClient, interval,
                                      cfg.CONF.scheduler.bind_timeout)
        self._server: oslo_messaging.MessageHandlingServer | None = None
        inventory = sync.loop(host)
        self._loops = [Loop(f'scheduler {host}', interval, self._work), *([inventory] if inventory else []),
                       *nova.loops(host)]
        self._notifications = nova_notifications.listener()

    def start(self) -> None:
        self._serve(self._enabled())
        for loop in self._loops:
            loop.start()
        if self._notifications is not None:
            self._notifications.start()

    def stop(self) -> None:
        if self._notifications is not None:
            self._notifications.stop()
        for loop in self._loops:
            loop.stop()
        self._serve(False)

    def _work(self) -> None:
        enabled = self._enabled()
        self._serve(enabled)
        if enabled:
            self._reconciler.run()

    def _enabled(self) -> bool:
        """Note that this scheduler lives, and learn whether it is to work."""
        known = db_session.retrying(lambda session: db_service.heard_of(
            session, db_service.SCHEDULER, self._host, topic=transport.SCHEDULER_TOPIC, version=transport.VERSION))
        return not known.disabled

    def _serve(self, enabled: bool) -> None:
        if enabled and self._server is None:
            self._server = server.start(transport.SCHEDULER_TOPIC, self._host, self._service, threads=THREADS)
            LOG.info('The scheduler %s serves', self._host)
        elif not enabled and self._server is not None:
            self._server.stop()
            self._server.wait()
            self._server = None
            LOG.info('The scheduler %s serves no more', self._host)


def _metrics() -> Callable[[str, float], None]:
    """Serve metrics, if ``[scheduler] metrics_port`` is set; returns what is told the outcomes."""
    options = cfg.CONF.scheduler
    if not options.metrics_port:
        return lambda _outcome, _seconds: None
    from accelpool.metrics import listener  # 5 MiB that only this option needs
    from accelpool.scheduler import metrics

    counted = metrics.Outcomes()
    listener.serve([counted, metrics.Collector()], options.metrics_host, options.metrics_port)
    return counted.observe
