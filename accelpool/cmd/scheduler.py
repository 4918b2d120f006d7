# SPDX-License-Identifier: Apache-2.0
"""``accelpool-scheduler``: chooses devices.  Stateless; run any number."""

import sys
from collections.abc import Sequence

from oslo_config import cfg

from accelpool import conf, errors, notifications
from accelpool.cmd import signals
from accelpool.db import session
from accelpool.scheduler import runner


def main(argv: Sequence[str] | None = None) -> int:
    conf.setup(sys.argv[1:] if argv is None else argv, 'accelpool-scheduler')
    session.configure(cfg.CONF.database.connection)
    notifications.setup('accelpool-scheduler', cfg.CONF.scheduler.host)
    wait = signals.ending()
    try:
        scheduler = runner.Runner(cfg.CONF.scheduler.host)
        with session.availability():
            scheduler.start()
    except errors.AccelpoolError as error:
        print(f'accelpool-scheduler: {error.detail}', file=sys.stderr)
        return 1
    wait()
    scheduler.stop()
    notifications.flush()
    return 0


if __name__ == '__main__':
    sys.exit(main())
