# SPDX-License-Identifier: Apache-2.0
"""``accelpool-api``: the HTTP API on a server of its own."""

import signal
import sys
from collections.abc import Sequence
from typing import Any

from cheroot import wsgi
from oslo_config import cfg
from oslo_log import log
from oslo_middleware import exceptions

from accelpool import conf, notifications
from accelpool.api import app, auth
from accelpool.db import session

LOG = log.getLogger(__name__)

#: Seconds that an idle connection is kept; a client that pools connections needs a new one after that.
KEEP_ALIVE = 60


class _Server(wsgi.Server):
    """cheroot, with what it has to say in our log."""

    def error_log(self, msg: str = '', level: int = 20, traceback: bool = False) -> None:
        LOG.log(level, '%s', msg, exc_info=traceback)


def make_server(application: auth.WSGIApp, host: str, port: int) -> wsgi.Server:
    """Return a server that listens nowhere yet: ``prepare()`` binds, ``serve()`` blocks, ``stop()`` ends.

    After ``prepare()`` its ``bind_addr`` has the port that ``port=0`` chose.

    :raises ValueError: the address is not a loopback address and there is no Keystone to guard it
    """
    auth.check_listen_address(host)
    return _Server(
        (host, port), application, numthreads=cfg.CONF.api.threads, server_name='accelpool',
        timeout=KEEP_ALIVE, request_queue_size=128)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT."""
    conf.setup(sys.argv[1:] if argv is None else argv, 'accelpool-api')
    session.configure(cfg.CONF.database.connection)
    notifications.setup('accelpool-api', cfg.CONF.api.name)
    try:
        server = make_server(app.make_app(), cfg.CONF.api.host, cfg.CONF.api.port)
    except (ValueError, exceptions.ConfigInvalid) as failure:
        print(f'accelpool-api: {failure}', file=sys.stderr)
        return 1

    def stop(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    server.prepare()
    LOG.info('The API listens on http://%s:%d', *server.bind_addr[:2])
    try:
        server.serve()
    except KeyboardInterrupt:
        LOG.info('The API stops')
    finally:
        server.stop()
        notifications.flush()
    return 0


if __name__ == '__main__':
    sys.exit(main())
