# SPDX-License-Identifier: Apache-2.0
"""``accelpool.wsgi.vendordata:application``: what Nova's ``[api] vendordata_dynamic_targets`` names.

It reads the same configuration as the API, needs the database and Keystone, and is for Nova only: keep it on the
internal network.
"""

import os
import pathlib

from oslo_config import cfg

from accelpool import conf, reports
from accelpool.consumers import vendordata
from accelpool.db import session

_place = os.environ.get('OS_ACCELPOOL_CONFIG_DIR')
conf.setup([], 'accelpool-vendordata', files=None if _place is None else [pathlib.Path(_place, 'accelpool.conf')],
           forks=True)
session.configure(cfg.CONF.database.connection)
application = reports.of_each_process('accelpool-vendordata', vendordata.make_app())
