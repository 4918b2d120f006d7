# SPDX-License-Identifier: Apache-2.0
"""Options of the HTTP API."""

import socket

from oslo_config import cfg

GROUP = 'api'

OPTS: list[cfg.Opt] = [
    cfg.StrOpt('name', default=socket.gethostname(), sample_default='<host name>',
               help='Name under which the API registers among the services; API processes that are disabled together '
                    'share one.'),
    cfg.HostAddressOpt(
        'host', default='127.0.0.1',
        help='Address that accelpool-api listens on.  Anything but a loopback address needs '
             'auth_strategy = keystone.'),
    cfg.PortOpt('port', default=6680, help='Port that accelpool-api listens on; 0 takes a free one.'),
    cfg.IntOpt(
        'threads', default=16, min=1,
        help='Requests that one API process serves at a time; behind another WSGI server, the threads that it gives '
             'each process.  Half of them may wait for an allocation (Prefer: wait).'),
    cfg.StrOpt(
        'auth_strategy', default='keystone',
        choices=[
            ('keystone', 'tokens, checked by keystonemiddleware (section keystone_authtoken)'),
            ('http_basic', 'user and password of htpasswd_file; on loopback only'),
            ('none', 'everybody is administrator; on loopback only'),
        ],
        help='How callers prove who they are.'),
    cfg.StrOpt(
        'htpasswd_file', default='/etc/accelpool/htpasswd',
        help='Users of auth_strategy = http_basic, in the form of Apache with bcrypt digests.'),
    cfg.BoolOpt('metrics', default=False,
                help='Answer GET /metrics with Prometheus metrics, without authentication.  Several processes need the '
                     'environment variable PROMETHEUS_MULTIPROC_DIR.'),
    cfg.IntOpt(
        'max_body_size', default=65536, min=1024,
        help='Bytes that a request body may have; a larger one is refused with 413.'),
]
