# SPDX-License-Identifier: Apache-2.0
"""Run by alembic; the connection comes from accelpool.db.migration."""

from alembic import context

from accelpool.db import models

context.configure(
    connection=context.config.attributes['connection'], target_metadata=models.Base.metadata,
    render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
