# SPDX-License-Identifier: Apache-2.0
"""Options of what projects may have."""

from oslo_config import cfg

GROUP = 'quota'
#: Type of the service that it is about.
SERVICE = 'identity'

OPTS: list[cfg.Opt] = [
    *(cfg.IntOpt(name, default=-1, min=-1,
                 help=f'Limit of {what} that a project has unless Keystone or `accelpool quota set` says otherwise; '
                      '-1 is no limit.')
      for name, what in (('slices', 'slices'), ('compute', 'percent points of devices'), ('memory', 'MiB'))),
    cfg.FloatOpt('cache_time', default=30.0, min=0,
                 help='Seconds for which limits from Keystone are remembered.'),
    cfg.StrOpt('limited_service_type', default='accelpool',
               help="Type of the service in Keystone's catalogue for which limits are registered there.  Keystone is "
                    'asked when auth_type is set; the user needs the role reader on the system (system_scope = all).'),
    cfg.StrOpt('limited_region', default=None,
               help='Region whose limits count beside those without a region.'),
]
