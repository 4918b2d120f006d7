# SPDX-License-Identifier: Apache-2.0
"""``accelpool-manage db sync|version|online|purge``"""

import argparse
import datetime
import functools
import logging
import sys
from collections.abc import Sequence

from oslo_config import cfg

from accelpool import conf
from accelpool.db import allocation, enrolment, migration, models, online, session

#: Rows that one transaction of ``db purge`` deletes, with what belongs to them.
PURGED = 1000


def sync(_options: argparse.Namespace) -> int:
    migration.sync(session.engine())
    print(f'The database is at revision {migration.version(session.engine())}')
    return 0


def version(_options: argparse.Namespace) -> int:
    print(migration.version(session.engine()) or 'empty: run `accelpool-manage db sync`')
    return 0


def migrate_online(options: argparse.Namespace) -> int:
    left = options.max_count
    for name, count in online.run(left):
        print(f'{name}: {count} row(s) changed')
        left = None if left is None else left - count
    if left == 0:
        print('There may be more: run it again')
        return 1
    return 0


def purge(options: argparse.Namespace) -> int:
    before = models.utcnow() - datetime.timedelta(days=options.days)
    count = session.in_batches(functools.partial(allocation.purge, before=before), PURGED)
    guests = session.in_batches(functools.partial(enrolment.purge, before=before), PURGED)
    print(f'{count} allocation(s) released before {before:%Y-%m-%d %H:%M} UTC deleted, with their events; '
          f'{guests} enrolment(s) of guests that have nothing since')
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='accelpool-manage')
    parser.add_argument('--config-file', action='append', default=[], metavar='<file>')
    noun = parser.add_subparsers(required=True, metavar='db')
    verbs = noun.add_parser('db', help='the database').add_subparsers(required=True, metavar='<verb>')
    verbs.add_parser('sync', help="bring it to this release's schema").set_defaults(act=sync)
    verbs.add_parser('version', help='print its revision').set_defaults(act=version)
    rest = verbs.add_parser('online', help="bring its data to this release's form while the services work")
    rest.add_argument('--max-count', type=int, metavar='<rows>',
                      help='stop after so many; exit status 1: there may be more')
    rest.set_defaults(act=migrate_online)
    old = verbs.add_parser('purge', help='delete allocations that were released long ago')
    old.add_argument('--days', type=float, default=30, metavar='<days>', help='older than this (default: 30)')
    old.set_defaults(act=purge)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    files = [argument for file in options.config_file for argument in ('--config-file', file)]
    conf.setup(files, 'accelpool-manage')
    logging.getLogger('alembic').setLevel(logging.WARNING)  # the log is on standard output, as the answer is
    session.configure(cfg.CONF.database.connection)
    return int(options.act(options))


if __name__ == '__main__':
    sys.exit(main())
