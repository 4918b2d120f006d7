# SPDX-License-Identifier: Apache-2.0
"""Options of the per-host conductor."""

import socket

from oslo_config import cfg

GROUP = 'conductor'

OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        'host', default=socket.gethostname(), sample_default='<host name>',
        help="Name of the host whose devices this conductor owns; the agent beside it uses the same."),
    cfg.StrOpt(
        'state_dir', default='/var/lib/accelpool',
        help='Where the drivers of this host keep what they must remember across a restart.'),
    cfg.ListOpt(
        'drivers', default=['mock'],
        help='Drivers to load, by their names in the entry-point namespace accelpool.drivers.'),
    cfg.FloatOpt(
        'inventory_interval', default=2.0, min=0.1,
        help='Seconds between two looks at the devices; only what changed is written to the database.'),
    cfg.FloatOpt(
        'heartbeat_interval', default=5.0, min=0.1,
        help='Seconds between two signs of life in the services and hosts tables.'),
    cfg.FloatOpt(
        'reconcile_interval', default=5.0, min=0.1,
        help='Seconds between two comparisons of database, driver and agent.'),
    cfg.IntOpt(
        'threads', default=4, min=1,
        help='Requests from the message bus that are served at a time.'),
    cfg.PortOpt(
        'metrics_port', default=0,
        help='Serve Prometheus metrics on this port of metrics_host; 0 serves none.'),
    cfg.HostAddressOpt('metrics_host', default='127.0.0.1', help='Address of the metrics.'),
]
