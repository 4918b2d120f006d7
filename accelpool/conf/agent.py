# SPDX-License-Identifier: Apache-2.0
"""How a conductor drives the agent of its host.  (The agent itself takes command-line arguments only.)"""

from oslo_config import cfg

GROUP = 'agent'

OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        'control_socket', default='/run/accelpool/agent.sock',
        help="Unix socket on which this host's agent takes orders."),
    cfg.FloatOpt(
        'timeout', default=10.0, min=0.1,
        help='Seconds to wait for an answer of the agent; ending the sessions of a slice is the longest.'),
    cfg.IntOpt(
        'credential_lifetime', default=300, min=10,
        help='Seconds in which a fresh credential must have opened its session; open sessions live on.'),
]
