# SPDX-License-Identifier: Apache-2.0
import unittest
from unittest import mock

from accelpool import errors
from accelpool.api import microversions
from accelpool.api.microversions import Version, negotiate


class NegotiateTest(unittest.TestCase):
    def setUp(self) -> None:
        for name, version in (('MINIMUM', Version(1, 2)), ('MAXIMUM', Version(1, 10))):
            patch = mock.patch.object(microversions, name, version)
            patch.start()
            self.addCleanup(patch.stop)

    def test_oldest_without_a_wish(self) -> None:
        for header in (None, '', 'compute 2.1', 'compute 2.1, placement 1.39'):
            self.assertEqual(Version(1, 2), negotiate(header), header)

    def test_wish(self) -> None:
        for header in ('accelpool 1.9', 'Accelpool  1.9', 'compute 2.1,accelpool 1.9 '):
            self.assertEqual(Version(1, 9), negotiate(header), header)
        self.assertEqual(Version(1, 10), negotiate('accelpool latest'))

    def test_versions_compare_as_numbers(self) -> None:
        self.assertEqual(Version(1, 10), negotiate('accelpool 1.10'))
        self.assertLess(Version(1, 9), Version(1, 10))

    def test_out_of_range(self) -> None:
        for header in ('accelpool 1.1', 'accelpool 1.11', 'accelpool 2.0', 'accelpool 0.9'):
            with self.subTest(header), self.assertRaisesRegex(errors.NotAcceptable, r'1\.2 to 1\.10'):
                negotiate(header)

    def test_malformed(self) -> None:
        for header in ('accelpool', 'accelpool 1', 'accelpool 1.x', 'accelpool -1.0', 'accelpool 1.٣',
                       'accelpool 1.' + '9' * 5000):
            with self.subTest(header[:30]), self.assertRaises(errors.InvalidRequest):
                negotiate(header)
