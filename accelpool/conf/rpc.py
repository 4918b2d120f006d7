# SPDX-License-Identifier: Apache-2.0
"""Options of the messages between the services; what concerns RabbitMQ is in section oslo_messaging_rabbit."""

from oslo_config import cfg

GROUP = 'rpc'

OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        'version_cap', default=None, regex=r'^\d+\.\d+$',
        help='Send no message of a newer version than this: what the former release understands, while services of '
             'both releases run.  `accelpool service list` shows each service\'s version.  Not set: messages are '
             'as new as what they ask for.'),
]
