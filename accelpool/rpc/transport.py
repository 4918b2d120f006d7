# SPDX-License-Identifier: Apache-2.0
"""The message bus of this process, and how values and the request's context travel on it."""

import functools
import logging
from typing import Any

import kombu.exceptions
import oslo_messaging
from oslo_config import cfg
from oslo_context import context
from oslo_messaging import opts
from oslo_messaging._drivers import impl_rabbit

from accelpool.rpc import memory

#: Topics (fixed names).  A conductor is addressed by topic and server = its host.
SCHEDULER_TOPIC = 'accelpool.scheduler'
CONDUCTOR_TOPIC = 'accelpool.conductor'
#: Nobody listens here: messages to it show that the bus takes them.
HEALTH_TOPIC = 'accelpool.health'

#: Version of the messages that this release understands, the same on both topics.  Raise the minor number when a
#: method or an optional argument is added, the major one when an older peer would misunderstand.  A message says the
#: version that brought what it uses (``since`` in rpc/client.py), so that an older peer takes what it knows.
VERSION = '1.1'

#: What of a request's context travels: enough to find its log lines, never its token.
CARRIED = ('request_id', 'global_request_id', 'user_id', 'project_id')


class _Serializer(oslo_messaging.JsonPayloadSerializer):  # type: ignore[misc]
    """Plain JSON values, beside them the context of the request that caused the message."""

    def serialize_context(self, ctxt: Any) -> dict[str, Any]:
        return {name: value for name in CARRIED if (value := getattr(ctxt, name, None)) is not None}

    def deserialize_context(self, ctxt: dict[str, Any]) -> context.RequestContext:
        return context.RequestContext(**{name: ctxt[name] for name in CARRIED if name in ctxt})


SERIALIZER = _Serializer()

#: What sending raises when the bus is away.  A connection that is opened for it fails with the library's own errors.
FAILURES = (oslo_messaging.MessagingException, kombu.exceptions.KombuError, OSError)

#: What oslo.messaging's defaults for RabbitMQ should be here; section [oslo_messaging_rabbit] has the last word.
RABBIT = {
    'rabbit_quorum_queue': True,
    # Seconds.  A peer that has vanished without a word is noticed within twice this time, and nobody waits longer
    # than the second between two tries to connect: everything works again 30 s after the end of an outage.
    'heartbeat_timeout_threshold': 10,
    'rabbit_interval_max': 4,
    # Nobody waits longer than this for an answer (rpc/client.py), so it need not be offered longer either.
    'kombu_missing_consumer_retry_timeout': 15,
}


@functools.cache
def get() -> Any:  # an oslo_messaging RPCTransport
    """Return the bus that ``transport_url`` names; configuration must have been read."""
    memory.install()
    impl_rabbit.Connection._on_connection_blocked = _blocked  # which only logs it
    oslo_messaging.set_transport_defaults('accelpool')
    _prefer(RABBIT)
    # The errors of these modules arrive as themselves (as subclasses with "_Remote" in the name).
    return oslo_messaging.get_rpc_transport(cfg.CONF, allowed_remote_exmods=['accelpool.errors'])


def _blocked(connection: Any, reason: str) -> None:
    """Give up a connection (oslo.messaging's) from which a broker without room, in memory or on disk, takes nothing.

    It confirms no message and closes no channel then, but its heartbeats go on: one would wait for ever.

    :raises ConnectionError: always; the message is tried again on a new connection, as often as its sender says
    """
    connection.connection.collect()
    raise ConnectionError(f'the broker takes no messages: {reason}')


def _prefer(values: dict[str, Any]) -> None:
    """Change defaults of the RabbitMQ driver."""
    group = 'oslo_messaging_rabbit'
    for options in (options for name, options in opts.list_opts() if str(name) == group):
        cfg.CONF.register_opts(options, group=group)
    for name, value in values.items():
        cfg.CONF.set_default(name, value, group=group)


def has_classic_queues() -> bool:
    """Say whether the bus is RabbitMQ without quorum queues."""
    get()
    rabbit = oslo_messaging.TransportURL.parse(cfg.CONF).transport == 'rabbit'
    return rabbit and not cfg.CONF.oslo_messaging_rabbit.rabbit_quorum_queue


def use_memory() -> None:
    """Make the bus a queue inside this process; call it before anything uses the bus."""
    for name in ('kombu.connection', 'oslo.messaging._drivers.impl_rabbit'):
        logging.getLogger(name).setLevel(logging.ERROR)  # they miss a broker's host name and heartbeat
    oslo_messaging.TransportURL.parse(cfg.CONF)  # registers the option
    cfg.CONF.set_override('transport_url', 'kombu+memory://')
