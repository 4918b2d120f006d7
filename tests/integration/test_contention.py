# SPDX-License-Identifier: Apache-2.0
"""Sixteen clients, two schedulers, Nova's bindings, one device: nothing is granted twice, nothing is lost, the accounts are exact.

``ACCELPOOL_CLAIMS`` says how often the clients claim, for each database and capacity (tox -e integration: 10,000).
"""

import os
import unittest

import sqlalchemy as sa

from accelpool.db import models, session
from tests.integration import support
from tests.integration.support import contender
from tests.support import database
from tools.integration import layout

CLAIMS = int(os.environ.get('ACCELPOOL_CLAIMS', '320'))

setUpModule = support.databases


class Contention(unittest.TestCase):
    """For each database: a capacity that is often used up, and one that nearly always is."""

    def test_sqlite(self) -> None:
        self._contend(None)

    def test_mariadb(self) -> None:
        self._contend(layout.database('accelpool_test', 'mariadb'))

    def test_postgresql(self) -> None:
        self._contend(layout.database('accelpool_test', 'postgresql'))

    def _contend(self, url: str | None) -> None:
        for capacity in (50, 8):
            with self.subTest(capacity=capacity):
                self._capacity(url, capacity)

    def _capacity(self, url: str | None, capacity: int) -> None:
        url = database.use(self, url)
        database.add_device('device')
        outcome = contender.contend(url, capacity, CLAIMS)
        share = 100 // capacity
        self.assertEqual(0, outcome.over, 'over-grants')
        self.assertEqual(0, outcome.lost, 'lost')
        self.assertEqual(0, outcome.gave_up, 'refused after too many conflicts')
        self.assertGreater(outcome.refused, 0, 'there was no contention')
        self.assertGreater(outcome.bound, 0, 'no instance got anything')
        self.assertGreater(outcome.granted, outcome.bound, 'instances got everything')
        self.assertEqual(CLAIMS, outcome.granted + outcome.refused)
        self.assertEqual(self._holding(), outcome.left)
        count = len(outcome.left)
        self.assertEqual({'device': (share * count, count, count)}, database.accounts())
        self.assertEqual(database.owed(), database.accounts())
        for identifier in outcome.left:
            contender.release(identifier)
        self.assertEqual({'device': (0, 0, 0)}, database.accounts())

    def _holding(self) -> set[str]:
        with session.reader() as reader:
            return set(reader.scalars(sa.select(models.Slice.allocation_id)))
