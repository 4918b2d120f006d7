# SPDX-License-Identifier: Apache-2.0
"""Options of what Nova is told and asked."""

from oslo_config import cfg

GROUP = 'nova'
#: Type of the service that it is about.
SERVICE = 'compute'

OPTS: list[cfg.Opt] = [
    cfg.FloatOpt('event_interval', default=1.0, min=0.1,
                 help='Seconds between two looks for bindings whose end Nova must be told, and between two tries while '
                      'Nova does not know yet where the instance will be.'),
    cfg.IntOpt('event_timeout', default=600, min=10,
               help='Seconds after which Nova is not told any more. Nova itself waits [DEFAULT] arq_binding_timeout.'),
    cfg.IntOpt('compare_interval', default=60, min=1,
               help='Seconds between two comparisons with Nova, which give back what instances had that exist no more; '
                    'one scheduler does it. Nothing is asked while auth_type is not set.'),
    cfg.StrOpt('notification_url', secret=True,
               help='Message bus of Nova as oslo.messaging names it, on which its versioned notifications are heard. '
                    'Add ?rabbit_quorum_queue=false unless Nova uses quorum queues. Without it what an instance had is '
                    'given back by Nova itself and by the comparison.'),
]
