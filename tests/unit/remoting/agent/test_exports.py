# SPDX-License-Identifier: Apache-2.0
"""What sessions of a slice share: for whom, and until when."""

import os
import struct
import unittest

from accelpool.remoting.agent import exports

MEMORY = exports.Memory(4096, 256, struct.pack('<2Q', 7, 8))


class Exports(unittest.TestCase):

    def setUp(self) -> None:
        self.exports = exports.Exports()
        self.addCleanup(lambda: [self.exports.leave(session) for session in (1, 2)])

    def test_a_key_is_for_the_processes_that_its_session_names(self) -> None:
        key = self.exports.add(1, MEMORY, False, None)
        self.assertEqual(exports.KEY, len(key))
        self.assertIsNone(self.exports.find(key, 10))
        self.assertFalse(self.exports.allow(2, key + struct.pack('<i', 10)))
        self.assertTrue(self.exports.allow(1, key + struct.pack('<2i', 10, 11)))
        self.assertEqual((MEMORY, None), self.exports.find(key, 11))
        self.assertIsNone(self.exports.find(key, 12))
        self.assertIsNone(self.exports.find(key[:-1], 11))

    def test_or_for_all(self) -> None:
        key = self.exports.add(1, MEMORY, True, None)
        self.assertTrue(self.exports.allow(1, key + struct.pack('<i', 10)))
        self.assertEqual((MEMORY, None), self.exports.find(key, 12))

    def test_keys_differ_and_end_with_their_session(self) -> None:
        first, second = (self.exports.add(session, MEMORY, True, None) for session in (1, 2))
        self.assertNotEqual(first, second)
        self.assertFalse(self.exports.end(2, first))
        self.assertTrue(self.exports.end(1, first))
        self.assertIsNone(self.exports.find(first, 1))
        self.exports.leave(2)
        self.assertIsNone(self.exports.find(second, 1))

    def test_one_descriptor_for_each_session_until_it_ends(self) -> None:
        before = len(os.listdir('/proc/self/fd'))
        with open(os.devnull, 'rb') as file:
            keys = [self.exports.add(1, MEMORY, True, file.fileno()) for _ in range(3)]
        descriptors = {(self.exports.find(key, 1) or (MEMORY, None))[1] for key in keys}
        self.assertEqual(1, len(descriptors - {None}))
        self.exports.leave(1)
        self.assertEqual(before, len(os.listdir('/proc/self/fd')))

    def test_there_is_an_end_to_it(self) -> None:
        for _ in range(exports.EXPORTS):
            self.assertTrue(self.exports.add(1, MEMORY, True, None))
        self.assertEqual(b'', self.exports.add(2, MEMORY, True, None))
        self.exports.leave(1)
        key = self.exports.add(2, MEMORY, False, None)
        many = struct.pack(f'<{exports.PROCESSES + 1}i', *range(exports.PROCESSES + 1))
        self.assertFalse(self.exports.allow(2, key + many))

    def test_what_no_worker_says(self) -> None:
        for numbers in (b'', bytes(7)):
            with self.assertRaises(ValueError):
                self.exports.add(1, exports.Memory(1, 0, numbers), True, None)
        key = self.exports.add(1, MEMORY, False, None)
        with self.assertRaises(ValueError):
            self.exports.allow(1, key + bytes(3))
