# SPDX-License-Identifier: Apache-2.0
"""``accelpool-manage db sync|version|purge``"""

import argparse
import datetime
import logging
import sys
from collections.abc import Sequence

from oslo_config import cfg

from accelpool import conf
from accelpool.db import allocation, migration, models, session


def sync(_options: argparse.Namespace) -> int:
    migration.sync(session.engine())
    print(f'The database is at revision {migration.version(session.engine())}')
    return 0


def version(_options: argparse.Namespace) -> int:
    print(migration.version(session.engine()) or 'empty: run `accelpool-manage db sync`')
    return 0


def purge(options: argparse.Namespace) -> int:
    before = models.utcnow() - datetime.timedelta(days=options.days)
    with session.writer() as writer:
        count = allocation.purge(writer, before)
    print(f'{count} allocation(s) released before {before:%Y-%m-%d %H:%M} UTC deleted, with their events')
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='accelpool-manage')
    parser.add_argument('--config-file', action='append', default=[], metavar='<file>')
    noun = parser.add_subparsers(required=True, metavar='db')
    verbs = noun.add_parser('db', help='the database').add_subparsers(required=True, metavar='<verb>')
    verbs.add_parser('sync', help="bring it to this release's schema").set_defaults(act=sync)
    verbs.add_parser('version', help='print its revision').set_defaults(act=version)
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
