# SPDX-License-Identifier: Apache-2.0
"""Options of the inventory in OpenStack Placement."""

from oslo_config import cfg

GROUP = 'placement'
#: Type of the service that it is about.
SERVICE = 'placement'

OPTS: list[cfg.Opt] = [
    cfg.FloatOpt('interval', default=2.0, min=0.1,
                 help='Seconds between two comparisons of the pool with what Placement has; one scheduler does it. '
                      'Nothing is done while auth_type is not set.'),
    cfg.ListOpt('local_pools', default=[],
                help='Names of pools whose devices only instances on their own host may use: each device is a provider '
                     "under its compute host's. So is a device that cannot be shared. All others are in providers "
                     'that serve every compute host.'),
]
