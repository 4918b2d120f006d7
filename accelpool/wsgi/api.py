# SPDX-License-Identifier: Apache-2.0
"""``accelpool.wsgi.api:application`` for uWSGI, gunicorn and their like.

Such a server chooses the address itself, so only ``[api] auth_strategy = keystone`` is served.
"""

from oslo_config import cfg

from accelpool import conf
from accelpool.api import app
from accelpool.db import session

conf.setup([], 'accelpool-api')
if cfg.CONF.api.auth_strategy != 'keystone':
    raise ValueError('A WSGI server can listen anywhere; it needs [api] auth_strategy = keystone')
session.configure(cfg.CONF.database.connection)
application = app.make_app()
