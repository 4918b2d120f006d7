# SPDX-License-Identifier: Apache-2.0
"""How a conductor drives the agent of its host.  (The agent itself takes command-line arguments only.)"""

from oslo_config import cfg, types

GROUP = 'agent'

OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        'control_socket', default='/run/accelpool/agent.sock',
        help="Unix socket on which this host's agent takes orders."),
    cfg.FloatOpt(
        'timeout', default=10.0, min=0.1,
        help='Seconds to wait for an answer of the agent; ending the sessions of a slice is the longest.'),
    cfg.StrOpt(
        'front_door', default='also',
        choices=[
            ('never', 'attachments name the agents that have the devices, and nothing else'),
            ('also', "the agent of the consumer's own host, for what cannot be reached directly"),
            ('only', "the agent of the consumer's own host, which connects onwards; direct where there is none"),
        ],
        help='How consumers reach agents of other hosts; an option of the API.'),
    cfg.ListOpt(
        'advertise', default=[],
        item_type=types.String(regex=r'tcp://[0-9.]+:[0-9]+ [A-Za-z0-9][A-Za-z0-9._-]{0,63}'),
        help="Where consumers reach this host's agent: URL and label of the network, for example "
             'tcp://198.51.100.7:6690 data, tcp://203.0.113.7:6690 management.  Nothing: what the agent says by itself '
             '(its --advertise, or else its --listen).'),
    cfg.IntOpt(
        'credential_lifetime', default=300, min=10,
        help='Seconds in which a fresh credential must have opened its session; open sessions live on.'),
]
