# SPDX-License-Identifier: Apache-2.0
import pathlib
import stat
import tempfile
import unittest

import yaml

from accelpool import clouds

OTHERS = """\
# mine
clouds:
  work:  # do not touch
    auth_type: password
    auth: {username: me}
"""


class Clouds(unittest.TestCase):
    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.path = pathlib.Path(place.name, 'deep', 'clouds.yaml')

    def merge(self, password: str = 'p') -> dict[str, object]:
        clouds.merge(self.path, 'http://127.0.0.1:1', 'admin', password)
        return yaml.safe_load(self.path.read_text())['clouds']

    def test_new_file_is_private(self) -> None:
        self.assertEqual({'accelpool'}, set(self.merge()))
        self.assertEqual(0o600, stat.S_IMODE(self.path.stat().st_mode))

    def test_others_stay_with_their_comments_and_ours_is_replaced(self) -> None:
        self.path.parent.mkdir()
        self.path.write_text(OTHERS)
        self.merge()
        found = self.merge('another')
        self.assertEqual({'username': 'me'}, found['work']['auth'])
        self.assertEqual('another', found['accelpool']['auth']['password'])
        for comment in ('# mine', '# do not touch'):
            self.assertIn(comment, self.path.read_text())

    def test_file_that_is_not_yaml_is_left_alone(self) -> None:
        self.path.parent.mkdir()
        self.path.write_text('{ nonsense')
        with self.assertRaises(clouds.yaml.YAMLError):
            self.merge()
        self.assertEqual('{ nonsense', self.path.read_text())
