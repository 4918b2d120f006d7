# SPDX-License-Identifier: Apache-2.0
"""Options of the scheduler."""

import socket

from oslo_config import cfg

GROUP = 'scheduler'

OPTS: list[cfg.Opt] = [
    cfg.StrOpt('host', default=socket.gethostname(), sample_default='<host name>',
               help='Name under which this scheduler registers; several on one machine need one each.'),
    cfg.IntOpt('down_after', default=60, min=2,
               help='Seconds of silence after which a host or a service counts as down.'),
    cfg.IntOpt('reconcile_interval', default=5, min=1,
               help='Seconds between two looks for allocations that a crash left behind or whose time to live '
                    'has ended.'),
    cfg.PortOpt('metrics_port', default=0,
                help='Serve Prometheus metrics on this port of metrics_host; 0 serves none.'),
    cfg.HostAddressOpt('metrics_host', default='127.0.0.1', help='Address of the metrics.'),
    cfg.IntOpt('bind_timeout', default=300, min=10,
               help='Seconds after which an allocation whose hosts do not bind it goes to error and is given back.'),
]
