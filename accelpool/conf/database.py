# SPDX-License-Identifier: Apache-2.0
"""Options of the database."""

from oslo_config import cfg

GROUP = 'database'

OPTS: list[cfg.Opt] = [
    cfg.StrOpt('connection', secret=True, default='sqlite:////var/lib/accelpool/accelpool.sqlite',
               help='SQLAlchemy URL: mysql+pymysql://, postgresql+psycopg2:// or sqlite:///.'),
]
