# SPDX-License-Identifier: Apache-2.0
import json
import pathlib
import stat
import unittest

from accelpool.runtime import environment

ATTACHMENT = {'version': 1, 'devices': [
    {'ordinal': 0, 'interface': 'cuda', 'credential': 'secret', 'expires': 30},
    {'ordinal': 1, 'interface': 'cuda', 'credential': 'secret', 'expires': 20}]}


class Environment(unittest.TestCase):
    def test_attachment_is_readable_by_its_owner_only_and_goes_away(self) -> None:
        file = environment.AttachmentFile()
        self.addCleanup(file.remove)
        for _ in range(2):  # also when it is replaced
            file.write(ATTACHMENT)
            self.assertEqual(0o600, stat.S_IMODE(file.path.stat().st_mode))
            self.assertEqual(0o700, stat.S_IMODE(file.path.parent.stat().st_mode))
            self.assertEqual(ATTACHMENT, json.loads(file.path.read_text()))
        file.remove()
        self.assertFalse(file.path.parent.exists())

    def test_our_library_comes_first_and_no_secret_is_in_the_environment(self) -> None:
        found = environment.variables(ATTACHMENT, pathlib.Path('/a/file'), {'LD_LIBRARY_PATH': '/other', 'A': 'b'})
        first, rest = found['LD_LIBRARY_PATH'].split(':', 1)
        self.assertTrue(first.endswith('lib/cuda'))
        self.assertEqual('/other', rest)
        self.assertEqual('/a/file', found['ACCELPOOL_ATTACHMENT'])
        self.assertNotIn('secret', ' '.join(found.values()))

    def test_earliest_expiry_decides(self) -> None:
        self.assertEqual(20, environment.earliest_expiry(ATTACHMENT))
