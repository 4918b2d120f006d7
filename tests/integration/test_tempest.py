# SPDX-License-Identifier: Apache-2.0
"""cyborg-tempest-plugin's API tests against ``/v2``: the table in doc/source/admin/nova.rst."""

import pathlib
import re
import unittest

from tests.integration import support
from tools.integration import tempest

setUpModule = support.up

DOCUMENTATION = pathlib.Path(__file__).parents[2] / 'doc/source/admin/nova.rst'
#: A row of the table; the module stands in the first one of several.
_ROW = re.compile(r'^(\\|test_\w+) +(test_\w+) +(passes|fails \(1\))$', re.MULTILINE)


def documented() -> dict[str, str]:
    """Return what the documentation says of each test, as tempest.run() does."""
    found, module = {}, ''
    for first, test, result in _ROW.findall(DOCUMENTATION.read_text()):
        module = module if first == '\\' else first
        found[f'{module}.{test}'] = 'ok' if result == 'passes' else 'fail'
    return found


class Cyborg(unittest.TestCase):
    def test_every_test_ends_as_the_documentation_says(self) -> None:
        table = documented()
        self.assertEqual((39, 3), (list(table.values()).count('ok'), list(table.values()).count('fail')))
        self.assertEqual(table, tempest.run())


if __name__ == '__main__':
    unittest.main()
