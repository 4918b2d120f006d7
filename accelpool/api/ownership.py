# SPDX-License-Identifier: Apache-2.0
"""Whose an allocation is.  One that the caller may not see does not exist for it."""

from sqlalchemy import orm

from accelpool import errors, policy
from accelpool.api import context as api_context
from accelpool.db import allocation as db_allocation
from accelpool.db import models
from accelpool.policy import allocation as rules


def visible(session: orm.Session, context: api_context.Context, identifier: str) -> models.Allocation:
    """Return an allocation of the caller's project, or of any project for those who run the pool.

    :raises NotFound: there is none, or it is not the caller's
    """
    found = db_allocation.get(session, identifier)
    if found.project_id != context.project_id and not policy.allows(context, rules.ALL_PROJECTS):
        raise _missing(identifier)
    return found


def own(session: orm.Session, context: api_context.Context, identifier: str) -> models.Allocation:
    """Return an allocation of the caller's own project; administrators are no exception.

    :raises NotFound: there is none, or it is not the caller's
    """
    found = db_allocation.get(session, identifier)
    if found.project_id != context.project_id:
        raise _missing(identifier)
    return found


def _missing(identifier: str) -> errors.NotFound:
    """The same words as for an allocation that does not exist."""
    return errors.NotFound(f'Allocation {identifier} does not exist')
