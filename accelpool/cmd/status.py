# SPDX-License-Identifier: Apache-2.0
"""``accelpool-status upgrade check``: is this deployment ready for this release?"""

import sys

from oslo_config import cfg
from oslo_upgradecheck import upgradecheck

from accelpool import conf
from accelpool.db import migration, session


class Checks(upgradecheck.UpgradeCommands):
    """Run before the services of a new release start."""

    def _schema(self) -> upgradecheck.Result:
        session.configure(cfg.CONF.database.connection)
        found, wanted = migration.version(session.engine()), migration.head()
        if found == wanted:
            return upgradecheck.Result(upgradecheck.Code.SUCCESS)
        return upgradecheck.Result(
            upgradecheck.Code.FAILURE,
            f'The database is at revision {found}, this release needs {wanted}: run `accelpool-manage db sync`')

    _upgrade_checks = (('database schema', _schema),)


def main() -> int:
    conf.register_all()
    return int(upgradecheck.main(cfg.CONF, project='accelpool', upgrade_command=Checks()))


if __name__ == '__main__':
    sys.exit(main())
