# SPDX-License-Identifier: Apache-2.0
"""Options of what is told to whoever listens; how it is sent is in section oslo_messaging_notifications."""

from oslo_config import cfg

GROUP = 'notifications'

OPTS: list[cfg.Opt] = [
    cfg.ListOpt('topics', default=['accelpool_versioned_notifications'],
                help='Topics on which changes of allocations and devices are told.  They are when '
                     '[oslo_messaging_notifications] driver is set (messagingv2).'),
    cfg.IntOpt('backlog', default=10000, min=1,
               help='Notifications that one process keeps while the bus is away; what comes beyond that is dropped, '
                    'and the log says how many.'),
]
