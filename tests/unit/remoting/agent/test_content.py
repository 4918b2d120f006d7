# SPDX-License-Identifier: Apache-2.0
"""Module images are kept for their project, and only when they are what they claim to be."""

import fcntl
import hashlib
import os
import unittest

from accelpool.remoting.agent import content

SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


class Content(unittest.TestCase):

    def setUp(self) -> None:
        self.cache = content.ContentCache(limit=100)
        self.addCleanup(self.cache.close)

    def image(self, data: bytes, seals: int = SEALS) -> int:
        descriptor = os.memfd_create('image', os.MFD_ALLOW_SEALING)
        self.addCleanup(os.close, descriptor)
        os.write(descriptor, data)
        if seals:
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
        return descriptor

    def keep(self, project: str, data: bytes) -> None:
        self.cache.keep(project, digest(data), self.image(data), len(data))

    def read(self, project: str, data: bytes) -> bytes | None:
        found = self.cache.find(project, digest(data))
        return None if found is None else os.pread(found[0], found[1] + 1, 0)

    def test_what_is_kept_is_found_in_its_project_only(self) -> None:
        self.keep('one', b'text')
        self.assertEqual(b'text', self.read('one', b'text'))
        self.assertIsNone(self.read('two', b'text'))
        self.assertIsNone(self.read('one', b'other'))

    def test_workers_get_descriptors_for_reading(self) -> None:
        self.keep('one', b'text')
        descriptor, _length = self.cache.find('one', digest(b'text')) or (-1, 0)
        self.assertEqual(os.O_RDONLY, fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE)

    def test_the_one_not_used_for_longest_goes(self) -> None:
        first, second, third = (bytes([i]) * 40 for i in range(3))
        self.keep('one', first)
        self.keep('one', second)
        self.assertIsNotNone(self.read('one', first))
        self.keep('one', third)
        self.assertEqual([True, False, True], [self.read('one', data) is not None for data in (first, second, third)])

    def test_an_image_larger_than_the_cache_is_left_out(self) -> None:
        self.keep('one', b'kept')
        self.keep('one', bytes(101))
        self.assertIsNotNone(self.read('one', b'kept'))

    def test_genuine_is_sealed_whole_and_of_that_hash(self) -> None:
        data = b'text'
        self.assertTrue(content.is_genuine(self.image(data), digest(data), len(data)))
        self.assertFalse(content.is_genuine(self.image(data), digest(b'other'), len(data)))
        self.assertFalse(content.is_genuine(self.image(data), digest(data), len(data) - 1))
        self.assertFalse(content.is_genuine(self.image(data, 0), digest(data), len(data)))
        self.assertFalse(content.is_genuine(self.image(data, fcntl.F_SEAL_SHRINK), digest(data), len(data)))
        self.assertFalse(content.is_genuine(self.image(b''), digest(b''), 0))
        with open(os.devnull, 'rb') as file:
            self.assertFalse(content.is_genuine(file.fileno(), digest(b''), 1))


if __name__ == '__main__':
    unittest.main()
