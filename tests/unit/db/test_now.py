# SPDX-License-Identifier: Apache-2.0
"""The database's clock."""

import datetime
import unittest
from unittest import mock

from accelpool.db import models, now, session
from tests.support import database


class Now(unittest.TestCase):
    def test_a_file_is_kept_by_this_machines_clock(self) -> None:
        database.use(self)
        before = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        with session.reader() as reader:
            reader.connection()
        self.assertLess(abs((models.utcnow() - before).total_seconds()), 60)

    def test_a_servers_clock_counts_and_this_machines_is_not_asked(self) -> None:
        server = datetime.datetime(2020, 5, 1, 12, 0, 0, 250000)
        connection = mock.MagicMock()
        connection.cursor.return_value.__enter__.return_value.fetchone.return_value = (server,)
        self.addCleanup(setattr, now, '_difference', now._difference)
        self.addCleanup(setattr, now, '_asked', now._asked)
        now._ask(connection, 'SELECT')
        self.assertLess(models.utcnow() - server, datetime.timedelta(seconds=5))
        with mock.patch.object(now.time, 'monotonic', return_value=now._asked + 90):
            self.assertAlmostEqual(90, (models.utcnow() - server).total_seconds(), delta=0.5)
