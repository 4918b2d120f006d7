# SPDX-License-Identifier: Apache-2.0
"""What ``/healthcheck`` looks at (backends of oslo.middleware): the database, the bus, the word of the operator.

A balancer takes an API process whose answer is 503 out of service; the answer names no more than the part that fails,
unless ``[healthcheck] detailed`` is set.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from oslo_config import cfg
from oslo_middleware import healthcheck
from oslo_middleware.healthcheck import opts, pluginbase

from accelpool import errors
from accelpool.api import auth
from accelpool.db import service as db_service
from accelpool.db import session as db
from accelpool.rpc import client

PATH = '/healthcheck'
DATABASE = 'accelpool_database'
BACKENDS = [DATABASE, 'accelpool_bus', 'accelpool_enabled']


def make_app(backends: Sequence[str]) -> auth.WSGIApp:
    """Build what answers :data:`PATH`.

    :param backends: what it looks at unless ``[healthcheck] backends`` names others
    """
    cfg.CONF.register_opts(opts.HEALTHCHECK_OPTS, group='healthcheck')
    cfg.CONF.set_default('backends', list(backends), group='healthcheck')
    application: auth.WSGIApp = healthcheck.Healthcheck(None, cfg.CONF)
    return application


class Database(pluginbase.HealthcheckBaseExtension):
    """The database answers."""

    def healthcheck(self, server_port: int) -> pluginbase.HealthcheckResult:
        try:
            with db.reader() as session:
                session.execute(sa.text('SELECT 1'))
        except sa.exc.SQLAlchemyError as failure:
            return pluginbase.HealthcheckResult(False, 'the database does not answer', str(failure))
        return pluginbase.HealthcheckResult(True, 'database')


class Bus(pluginbase.HealthcheckBaseExtension):
    """The message bus takes messages."""

    def healthcheck(self, server_port: int) -> pluginbase.HealthcheckResult:
        try:
            client.probe()
        except errors.ServiceUnavailable as failure:
            return pluginbase.HealthcheckResult(False, 'the message bus takes no messages', failure.detail)
        return pluginbase.HealthcheckResult(True, 'message bus')


class Enabled(pluginbase.HealthcheckBaseExtension):
    """No operator has disabled this API (``service set --disable``)."""

    def healthcheck(self, server_port: int) -> pluginbase.HealthcheckResult:
        try:
            with db.reader() as session:
                found = db_service.find(session, db_service.API, cfg.CONF.api.name)
        except sa.exc.SQLAlchemyError:
            found = None  # Database tells that
        if found is not None and found.disabled:
            return pluginbase.HealthcheckResult(False, f'disabled: {found.disabled_reason or "no reason was given"}')
        return pluginbase.HealthcheckResult(True, 'enabled')
