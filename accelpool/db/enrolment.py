# SPDX-License-Identifier: Apache-2.0
"""Enrolments: from a single-use token to the key with which one guest fetches its attachments.

A token reads ``<id>.<secret>``, a key is chosen by the guest; the database has digests of both only.  The guest says
which key before it has the answer, so it can ask again after a crash, and nobody else can with the same token.
"""

import datetime
import hashlib
import hmac
import secrets
from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy import orm

from accelpool import errors
from accelpool.allocations.states import LIVE
from accelpool.db import models

#: Random bytes of a token's secret.
SECRET = 32
#: Tokens of one consumer that may wait for their exchange; a further one takes the place of the oldest.
MOST_WAITING = 16

#: One answer to everything that is wrong with a token or a key: which it was is nobody's business.
REFUSED = 'This is not, or not any more, a valid enrolment; ask for a fresh token'
ALIVE = 'Another guest is enrolled for this consumer and alive; its place is free when it has been silent for a while'


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def issue(session: orm.Session, *, project_id: str, consumer_type: str, consumer_id: str,
          lifetime: datetime.timedelta) -> tuple[str, models.Enrolment]:
    """Return a fresh token and its row."""
    now = models.utcnow()
    waiting = session.scalars(_of(project_id, consumer_type, consumer_id).where(
        models.Enrolment.used_at.is_(None)).order_by(models.Enrolment.created_at.desc())).all()
    for position, row in enumerate(waiting, 1):
        if row.expires_at < now or position >= MOST_WAITING:
            session.delete(row)
    secret = secrets.token_urlsafe(SECRET)
    fresh = models.Enrolment(
        id=models.new_id(), project_id=project_id, consumer_type=consumer_type, consumer_id=consumer_id,
        token_hash=digest(secret), expires_at=now + lifetime)
    session.add(fresh)
    session.flush()
    return f'{fresh.id}.{secret}', fresh


def exchange(session: orm.Session, token: str, consumer_id: str, key_hash: str,
             lapse: datetime.timedelta) -> models.Enrolment:
    """Use a token up: from now on whoever has the key is the consumer's guest.

    Asking again with the same key is no error.

    :param key_hash: SHA-256 of the key, in hexadecimal digits
    :raises Forbidden: an unknown, expired or used token, or another consumer's
    :raises Conflict: another guest is enrolled and alive
    """
    now = models.utcnow()
    identifier, _, secret = token.partition('.')
    found = session.get(models.Enrolment, identifier, with_for_update=True)
    right = _same(found.token_hash if found else '', digest(secret))
    if found is None or not right or not _same(found.consumer_id, consumer_id):
        raise errors.Forbidden(REFUSED)
    if found.key_hash is not None:
        if not _same(found.key_hash, key_hash):
            raise errors.Forbidden(REFUSED)
        return found
    if found.expires_at < now:
        raise errors.Forbidden(REFUSED)
    others = session.scalars(
        _of(found.project_id, found.consumer_type, found.consumer_id).where(models.Enrolment.id != found.id)
        .order_by(models.Enrolment.id).with_for_update()).all()
    if any(other.seen_at is not None and other.seen_at > now - lapse for other in others):
        raise errors.Conflict(ALIVE)
    for other in others:
        if other.used_at is not None:
            session.delete(other)
    found.key_hash, found.used_at, found.seen_at = key_hash, now, now
    session.flush()
    return found


def proven(session: orm.Session, identifier: str, key: str) -> models.Enrolment:
    """Return the enrolment whose key this is, and note the sign of life.

    :raises Forbidden: it is not, or there is none
    """
    found = session.get(models.Enrolment, identifier)
    right = _same((found.key_hash if found else None) or '', digest(key))
    if found is None or not right:
        raise errors.Forbidden(REFUSED)
    found.seen_at = models.utcnow()
    session.flush()
    return found


def seen(session: orm.Session, allocations: Collection[str]) -> None:
    """Note a sign of life of the guests that use these allocations."""
    if not allocations:
        return
    e, a = models.table(models.Enrolment).c, models.table(models.Allocation).c
    alive = session.scalars(sa.select(e.id).where(
        a.id.in_(list(allocations)), a.consumer_id == e.consumer_id, a.consumer_type == e.consumer_type,
        a.project_id == e.project_id, e.used_at.is_not(None))).all()
    session.execute(sa.update(models.table(models.Enrolment)).where(e.id.in_(alive)).values(seen_at=models.utcnow()))


def allocations(session: orm.Session, enrolment: models.Enrolment) -> list[models.Allocation]:
    """Return what the enrolled consumer has now, oldest first."""
    return consumers(session, enrolment.project_id, enrolment.consumer_id, (enrolment.consumer_type,))


def consumers(session: orm.Session, project_id: str, consumer_id: str,
              consumer_types: tuple[str, ...]) -> list[models.Allocation]:
    """Return the allocations of a consumer in its own project: anybody can write any consumer on an allocation."""
    return list(session.scalars(
        sa.select(models.Allocation).options(orm.selectinload(models.Allocation.slices)).where(
            models.Allocation.consumer_id == consumer_id, models.Allocation.project_id == project_id,
            models.Allocation.consumer_type.in_(consumer_types), models.Allocation.state.in_(LIVE))
        .order_by(models.Allocation.created_at, models.Allocation.id)))


def purge(session: orm.Session, limit: int, *, before: datetime.datetime) -> int:
    """Delete up to ``limit`` not used before a time, or of consumers that have nothing since; returns how many."""
    e, a = models.table(models.Enrolment).c, models.table(models.Allocation).c
    has_some = sa.select(sa.literal(1)).where(
        a.consumer_id == e.consumer_id, a.project_id == e.project_id, a.state.in_(LIVE)).exists()
    old = session.scalars(sa.select(e.id).where(
        sa.or_(sa.and_(e.used_at.is_(None), e.expires_at < before), sa.and_(e.seen_at < before, ~has_some)))
        .limit(limit)).all()
    session.execute(sa.delete(models.Enrolment).where(models.Enrolment.id.in_(old)))
    return len(old)


def _of(project_id: str, consumer_type: str, consumer_id: str) -> sa.Select[models.Enrolment]:
    return sa.select(models.Enrolment).where(
        models.Enrolment.consumer_id == consumer_id, models.Enrolment.consumer_type == consumer_type,
        models.Enrolment.project_id == project_id)


def _same(known: str, given: str) -> bool:
    """Compare in a time that says nothing about where they differ."""
    return hmac.compare_digest(known.encode(), given.encode())
