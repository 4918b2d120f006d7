# SPDX-License-Identifier: Apache-2.0
"""What projects use and may use: one row each, compared and swapped in the transaction that takes or gives back.

The sum of what the allocations of a project are charged (``charged_*``) is what the project uses; an allocation is
charged from its creation until it holds nothing more.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy import exc, orm

from accelpool import errors, types
from accelpool.allocations.states import State
from accelpool.conf import quota as options
from accelpool.db import models, paging
from accelpool.quota.amounts import RESOURCES, UNSAID, Amounts, Limits

cfg.CONF.register_opts(options.OPTS, options.GROUP)

_q, _a = models.table(models.Quota).c, models.table(models.Allocation).c
_of_project = _q.project_id == sa.bindparam('project')


def _more(resource: str) -> sa.BindParameter[int]:
    return sa.bindparam(f'more_{resource}', type_=sa.BigInteger)


def _fits(resource: str) -> sa.ColumnElement[bool]:
    """Whether there is room for more; to give back, and to keep what one has, there always is."""
    limit = sa.func.coalesce(sa.bindparam(f'given_{resource}', type_=sa.BigInteger), _q[f'limit_{resource}'],
                             sa.bindparam(f'default_{resource}', type_=sa.BigInteger))
    return sa.or_(_more(resource) <= 0, limit < 0, _q[f'used_{resource}'] + _more(resource) <= limit)


# Statements of the hot path are built once: building one costs more than running it on SQLite.
_ADD = sa.update(models.table(models.Quota)).where(_of_project).values(
    {f'used_{name}': _q[f'used_{name}'] + _more(name) for name in RESOURCES} | {'updated_at': sa.bindparam('now')})
_ADD_WITHIN = _ADD.where(*(_fits(name) for name in RESOURCES))
#: Columns of an allocation that make an :class:`Account`.
ACCOUNT = (_a.project_id, *(sa.func.coalesce(_a[f'charged_{name}'], 0).label(f'charged_{name}') for name in RESOURCES))
_CHARGED = sa.select(*ACCOUNT).where(_a.id == sa.bindparam('allocation'))
_CHARGED_LOCKED = _CHARGED.with_for_update()


@dataclasses.dataclass(frozen=True)
class Account:
    """Whose an allocation is, and what the project is charged for it."""

    project_id: str
    charged: Amounts

    @classmethod
    def of(cls, row: sa.Row[*tuple[Any, ...]]) -> Self:
        """Return what a row says that has the columns of ``ACCOUNT``."""
        return cls(row.project_id, Amounts(*(getattr(row, f'charged_{name}') for name in RESOURCES)))


def account(session: orm.Session, allocation_id: str, *, lock: bool = False) -> Account:
    """:raises NotFound: there is no such allocation"""
    found = session.execute(_CHARGED_LOCKED if lock else _CHARGED, {'allocation': allocation_id}).first()
    if found is None:
        raise errors.NotFound(f'Allocation {allocation_id} does not exist')
    return Account.of(found)


def charge(session: orm.Session, project_id: str, more: Amounts, given: Limits = UNSAID) -> None:
    """Raise what a project uses, if it may.

    :param given: limits from elsewhere (Keystone); they go before the project's own, and these before the defaults
    :raises QuotaExceeded: it would have too much
    """
    if not more or _add(session, _ADD_WITHIN, project_id, more, given):
        return
    ensure(session, project_id)  # there was no row, or there is no room; another one may have made the row meanwhile
    if _add(session, _ADD_WITHIN, project_id, more, given):
        return
    raise _exceeded(session, project_id, more, given)


def discharge(session: orm.Session, account: Account) -> None:
    """Lower what a project uses by what it was charged; the caller sees to it that this happens once."""
    if account.charged:
        _add(session, _ADD, account.project_id, Amounts() - account.charged, UNSAID)


def _add(session: orm.Session, statement: sa.Update, project_id: str, more: Amounts, given: Limits) -> bool:
    values = {'project': project_id, 'now': models.utcnow()}
    for name in RESOURCES:
        values |= {f'more_{name}': getattr(more, name)}
        if statement is _ADD_WITHIN:
            values |= {f'given_{name}': getattr(given, name), f'default_{name}': cfg.CONF.quota[name]}
    return session.execute(statement, values).rowcount == 1  # type: ignore[attr-defined, no-any-return]


def _exceeded(session: orm.Session, project_id: str, more: Amounts, given: Limits) -> errors.QuotaExceeded:
    row = session.get_one(models.Quota, project_id, populate_existing=True)
    limits = effective(row, given)
    for name in RESOURCES:
        limit, used, wanted = getattr(limits, name), getattr(row, f'used_{name}'), getattr(more, name)
        if wanted > 0 and 0 <= limit < used + wanted:
            return errors.QuotaExceeded(
                f'{name}: {wanted} more would be over the project\'s limit of {limit}, of which {used} are in use',
                field=name)
    return errors.QuotaExceeded('the project had no room when this was asked for; ask again')


def defaults() -> Limits:
    """Return the limits of projects of which nothing is said."""
    return Limits(*(cfg.CONF.quota[name] for name in RESOURCES))


def own(row: models.Quota | None) -> Limits:
    """Return the limits that ``quota set`` has given a project."""
    return UNSAID if row is None else Limits(*(getattr(row, f'limit_{name}') for name in RESOURCES))


def effective(row: models.Quota | None, given: Limits) -> Limits:
    """Return the limits that count."""
    return given.over(own(row)).over(defaults())


def find(session: orm.Session, project_id: str) -> models.Quota | None:
    """Return a project's row; None while nothing is known of it."""
    return session.get(models.Quota, project_id)


def list_page(session: orm.Session, *, filters: Mapping[str, Any] | None = None, sort: paging.Sort = (),
              marker: str | None = None, limit: int | None = None) -> list[models.Quota]:
    """Return the projects of which something is known, by id."""
    query = sa.select(models.Quota).filter_by(**(filters or {}))
    return paging.page(session, models.Quota, query, sort=sort, marker=marker, limit=limit)


def ensure(session: orm.Session, project_id: str) -> models.Quota:
    """Return a project's row; the first time makes it, unless somebody else is faster."""
    found = session.get(models.Quota, project_id)
    if found is not None:
        return found
    try:
        with session.begin_nested():
            made = models.Quota(id=project_id)
            session.add(made)
            session.flush()
            return made
    except exc.IntegrityError:
        return session.get_one(models.Quota, project_id)


def limit(session: orm.Session, project_id: str, values: Mapping[str, int | None]) -> models.Quota:
    """Set limits of a project by resource; None: the default's."""
    row = ensure(session, project_id)
    for name, value in values.items():
        setattr(row, f'limit_{name}', value)
    session.flush()
    return row


def fill(session: orm.Session, limit: int) -> int:
    """Charge projects for allocations that a former release has created, whatever their limits; returns how many."""
    found = list(session.scalars(
        sa.select(models.Allocation).where(models.Allocation.charged_slices.is_(None))
        .order_by(models.Allocation.id).limit(limit).options(orm.selectinload(models.Allocation.slices))))
    for one in found:
        amounts = _owed(one)
        done = session.execute(sa.update(models.table(models.Allocation)).where(
            _a.id == one.id, _a.charged_slices.is_(None)).values(
                {**charged(amounts), 'updated_at': _a.updated_at}))
        if done.rowcount == 1 and amounts:  # type: ignore[attr-defined]
            ensure(session, one.project_id)
            _add(session, _ADD, one.project_id, amounts, UNSAID)
    return len(found)


def charged(amounts: Amounts) -> dict[str, int]:
    """Return the columns of an allocation that say what its project is charged."""
    return {f'charged_{name}': getattr(amounts, name) for name in RESOURCES}


def _owed(allocation: models.Allocation) -> Amounts:
    if allocation.slices:
        return Amounts.of_slices(types.Slice(
            id=one.id, allocation_id=one.allocation_id, device_id=one.device_id, host=one.host, compute=one.compute,
            memory=one.memory, isolation=one.isolation) for one in allocation.slices)
    if allocation.state == State.PENDING:
        return Amounts.of_request(types.Request.from_dict(allocation.request))
    return Amounts()
