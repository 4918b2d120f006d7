# SPDX-License-Identifier: Apache-2.0
"""The tests that need a database, on the databases of production.

Everything else of the suites knows no database, or is the embedded service, which has SQLite alone.
"""

import os
import re
import subprocess
import sys
import unittest

from tests.integration import support
from tools.integration import layout

#: Where a database is used: queries, migrations, schedulers that race, crashes between two steps, the API.
TESTS = (
    'tests/unit/db', 'tests/unit/allocations', 'tests/unit/conductor', 'tests/unit/consumers', 'tests/unit/scheduler',
    'tests/unit/test_notifications.py', *(f'tests/functional/test_{name}.py' for name in (
        'race', 'crash_points', 'api', 'api_server', 'audit', 'metrics', 'policy')),
)
#: Fewer passed means that tests were lost on the way here.
LEAST = 225

setUpModule = support.databases


class Databases(unittest.TestCase):
    """One run of the suite for each server."""

    def test_mariadb(self) -> None:
        self._run('mariadb')

    def test_postgresql(self) -> None:
        self._run('postgresql')

    def _run(self, kind: str) -> None:
        done = subprocess.run(
            [sys.executable, '-m', 'pytest', '-p', 'no:cacheprovider', *TESTS], cwd=layout.ROOT,
            env=os.environ | {'ACCELPOOL_TEST_DATABASE': layout.database('accelpool_test', kind)},
            capture_output=True, text=True)
        self.assertEqual(0, done.returncode, done.stdout[-6000:] + done.stderr[-2000:])
        summary = done.stdout.splitlines()[-1]
        passed = re.search(r'(\d+) passed', summary)
        assert passed, summary
        self.assertGreaterEqual(int(passed[1]), LEAST, summary)
        self.assertNotIn('skipped', summary)
