# SPDX-License-Identifier: Apache-2.0
"""``accelpool.wsgi.api:application`` for uWSGI, gunicorn and their like.

Such a server chooses the address itself, so only ``[api] auth_strategy = keystone`` is served.  The environment
variable ``OS_ACCELPOOL_CONFIG_DIR`` names another directory of ``accelpool.conf`` than /etc/accelpool.
"""

import gc
import os
import pathlib

from oslo_config import cfg

from accelpool import conf, notifications, reports
from accelpool.api import app
from accelpool.db import session

_place = os.environ.get('OS_ACCELPOOL_CONFIG_DIR')
conf.setup([], 'accelpool-api', files=None if _place is None else [pathlib.Path(_place, 'accelpool.conf')], forks=True)
if cfg.CONF.api.auth_strategy != 'keystone':
    raise ValueError('A WSGI server can listen anywhere; it needs [api] auth_strategy = keystone')
session.configure(cfg.CONF.database.connection)
notifications.setup('accelpool-api', cfg.CONF.api.name)
application = reports.of_each_process('accelpool-api', app.make_app())
# A server that forks now shares all this with its processes: nothing is connected yet, and the collector of cyclic
# garbage, which would write to every object, leaves alone what is there.
gc.collect()
gc.freeze()
