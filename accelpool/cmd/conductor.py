# SPDX-License-Identifier: Apache-2.0
"""``accelpool-conductor``: owns the devices of one host; the host's agent runs beside it, on its own."""

import pathlib
import sys
from collections.abc import Sequence

from oslo_config import cfg

from accelpool import conf, errors, notifications
from accelpool.cmd import signals
from accelpool.conductor.service import Conductor
from accelpool.db import session


def main(argv: Sequence[str] | None = None) -> int:
    conf.setup(sys.argv[1:] if argv is None else argv, 'accelpool-conductor', services=False)
    options = cfg.CONF.conductor
    session.configure(cfg.CONF.database.connection)
    notifications.setup('accelpool-conductor', options.host)
    wait = signals.ending()
    state_dir = pathlib.Path(options.state_dir)
    state_dir.mkdir(parents=True, exist_ok=True)
    try:
        conductor = Conductor(options.host, state_dir, pathlib.Path(cfg.CONF.agent.control_socket))
        with session.availability():
            conductor.start()
    except errors.AccelpoolError as error:
        print(f'accelpool-conductor: {error.detail}', file=sys.stderr)
        return 1
    if options.metrics_port:
        from accelpool.conductor import metrics
        from accelpool.metrics import listener

        listener.serve([metrics.Collector(options.host, conductor)], options.metrics_host, options.metrics_port)
    wait()
    conductor.stop()
    notifications.flush()
    return 0


if __name__ == '__main__':
    sys.exit(main())
