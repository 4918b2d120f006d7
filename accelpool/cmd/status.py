# SPDX-License-Identifier: Apache-2.0
"""``accelpool-status upgrade check``: is this deployment ready for this release?"""

import sys

import sqlalchemy as sa
from oslo_config import cfg
from oslo_upgradecheck import common_checks, upgradecheck

from accelpool import conf
from accelpool.db import migration, models, session
from accelpool.rpc import transport


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

    def _rows(self) -> upgradecheck.Result:
        """Slices and events need their allocations, devices their hosts: SQLite, and a restored dump, may lack them."""
        orphans = []
        try:
            with session.reader() as reader:
                for child, column, parent in _PARENTS:
                    key = getattr(child, column)
                    count = reader.scalar(sa.select(sa.func.count()).select_from(child).where(
                        ~sa.exists().where(parent.id == key)))
                    if count:
                        orphans.append(f'{count} row(s) of {child.__tablename__} have a {column} that does not exist')
        except sa.exc.DBAPIError:
            return upgradecheck.Result(upgradecheck.Code.WARNING, 'Not looked at: the schema is an older one')
        if orphans:
            return upgradecheck.Result(upgradecheck.Code.FAILURE, '; '.join(orphans))
        return upgradecheck.Result(upgradecheck.Code.SUCCESS)

    def _queues(self) -> upgradecheck.Result:
        """Queues that were declared as classic ones cannot become quorum queues later (406 PRECONDITION_FAILED)."""
        if not transport.has_classic_queues():
            return upgradecheck.Result(upgradecheck.Code.SUCCESS)
        return upgradecheck.Result(
            upgradecheck.Code.WARNING, 'RabbitMQ is used without [oslo_messaging_rabbit] rabbit_quorum_queue = true')

    _upgrade_checks = (
        ('database schema', _schema),
        ('database rows', _rows),
        ('message queues', _queues),
        ('policy file', (common_checks.check_policy_json, {'conf': cfg.CONF})),
    )


_PARENTS = (
    (models.Slice, 'allocation_id', models.Allocation), (models.Slice, 'device_id', models.Device),
    (models.Event, 'allocation_id', models.Allocation), (models.Device, 'host_id', models.Host),
)


def main() -> int:
    conf.register_all()
    return int(upgradecheck.main(cfg.CONF, project='accelpool', upgrade_command=Checks()))


if __name__ == '__main__':
    sys.exit(main())
