# SPDX-License-Identifier: Apache-2.0
"""Fills a table with copies of one of its rows: ten thousand of them through an API would take minutes."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa


def fill(url: str, table: str, count: int, unique: Mapping[str, Callable[[int], Any]]) -> None:
    """Copy the table's first row until there are ``count`` rows.

    :param unique: column -> its value in the n-th copy; an ``id`` that is an integer is the database's to choose
    """
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        found = sa.Table(table, sa.MetaData(), autoload_with=connection)
        row = dict(connection.execute(sa.select(found).order_by(found.c.id).limit(1)).mappings().one())
        if isinstance(row['id'], int):
            del row['id']
        present = connection.scalar(sa.select(sa.func.count()).select_from(found))
        copies = [{**row, **{column: value(number) for column, value in unique.items()}}
                  for number in range(present, count)]
        if copies:
            connection.execute(sa.insert(found), copies)
    engine.dispose()


def new_uuid(_: int) -> str:
    return str(uuid.uuid4())
