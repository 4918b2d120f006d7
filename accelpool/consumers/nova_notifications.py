# SPDX-License-Identifier: Apache-2.0
"""Nova's notifications: when an instance is gone, what it had is given back."""

import logging
import time
from typing import Any

import oslo_messaging
from oslo_config import cfg

from accelpool.consumers import instance as instances

LOG = logging.getLogger(__name__)

#: Where Nova sends its versioned notifications.
EXCHANGE, TOPIC = 'nova', 'versioned_notifications'
#: Name of the queue that all schedulers share, apart from those of others who listen.
POOL = 'accelpool'
#: Seconds before a notification is taken up again of which nothing came.
PAUSE = 1.0


class Endpoint:
    """What oslo.messaging calls."""

    filter_rule = oslo_messaging.NotificationFilter(event_type=r'^instance\.delete\.end$')

    def info(self, _context: Any, _publisher: str, _event: str, payload: dict[str, Any], _metadata: Any) -> Any:
        """Give back what an instance had; the message stays in the queue while that is not possible."""
        try:
            server = str(payload['nova_object.data']['uuid'])
        except (KeyError, TypeError):  # it says no more when it comes again
            LOG.error('Nova deleted an instance without saying which, so nothing was given back: %.1000s', payload)
            return oslo_messaging.NotificationResult.HANDLED
        try:
            given_back = instances.delete_of_instance(server)
        except Exception:
            LOG.exception('What the instance %s had could not be given back; trying again', server)
            time.sleep(PAUSE)
            return oslo_messaging.NotificationResult.REQUEUE
        if given_back:
            LOG.warning('Nova deleted the instance %s without giving back %d slices', server, given_back)
        return oslo_messaging.NotificationResult.HANDLED


class Listener:
    """Hears Nova while it runs."""

    def __init__(self, url: str) -> None:
        """:param url: of Nova's message bus"""
        self._server = oslo_messaging.get_notification_listener(
            oslo_messaging.get_notification_transport(cfg.CONF, url=url),
            [oslo_messaging.Target(exchange=EXCHANGE, topic=TOPIC)], [Endpoint()], executor='threading',
            allow_requeue=True, pool=POOL)

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()
        self._server.wait()


def listener() -> Listener | None:
    """Return the listener that ``[nova]`` asks for."""
    url = cfg.CONF.nova.notification_url
    return None if url is None else Listener(url)
