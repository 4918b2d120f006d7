# SPDX-License-Identifier: Apache-2.0
"""Cache, compiler call and the service for agents. The compiler is replaced: no test here runs it."""

import os
import socket
import struct
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

from accelpool.drivers.mock.ptx import Cache, PtxError, cache_key, serve
from accelpool.drivers.mock.ptx import compile as compiler

PTX = b'.version 8.0\n.target sm_80\n.entry k() { ret; }'


def fake(source: str, out: Path) -> None:
    out.write_bytes(b'module ' + str(len(source)).encode())


class CacheTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        patcher = mock.patch.object(compiler, 'compile_source', side_effect=fake)
        self.compile = patcher.start()
        self.addCleanup(patcher.stop)

    def _read(self, descriptor: int) -> bytes:
        with os.fdopen(descriptor, 'rb') as file:
            return file.read()

    def test_the_same_text_is_compiled_once(self) -> None:
        cache = Cache(self.directory)
        first, second = self._read(cache.open(PTX)), self._read(cache.open(PTX + b'\0'))
        self.assertEqual(first, second)
        self.assertEqual(1, self.compile.call_count)
        (path,) = self.directory.iterdir()
        self.assertEqual((f'{cache_key(PTX)}.so', 0o444), (path.name, path.stat().st_mode & 0o777))

    def test_the_key_depends_on_text_translator_and_flags(self) -> None:
        key = cache_key(PTX)
        self.assertRegex(key, '^[0-9a-f]{64}$')
        self.assertNotEqual(key, cache_key(PTX + b' '))

    def test_a_descriptor_cannot_write(self) -> None:
        descriptor = Cache(self.directory).open(PTX)
        with self.assertRaises(OSError):
            os.write(descriptor, b'x')
        os.close(descriptor)

    def test_a_failure_leaves_nothing_behind(self) -> None:
        with self.assertRaises(PtxError):
            Cache(self.directory).open(b'.version 8.0\n.target sm_80\n.entry k() { nonsense; }')
        self.compile.side_effect = PtxError('refused')
        with self.assertRaises(PtxError):
            Cache(self.directory).open(PTX)
        self.assertEqual([], list(self.directory.iterdir()))

    def test_the_least_recently_used_module_goes_first(self) -> None:
        cache = Cache(self.directory, limit_bytes=10)
        texts = [PTX + b'\n' * n for n in range(3)]
        for number, text in enumerate(texts):
            os.close(cache.open(text))
            path = self.directory / f'{cache_key(text)}.so'
            if path.exists():
                os.utime(path, (number, number))
        self.assertFalse((self.directory / f'{cache_key(texts[0])}.so').exists())
        self.assertTrue((self.directory / f'{cache_key(texts[2])}.so').exists())

    def test_service(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        thread = threading.Thread(target=serve.serve, args=(theirs, Cache(self.directory)))
        thread.start()
        try:
            for number, (text, length, status, word) in enumerate((
                    (PTX, len(PTX), 0, b''), (b'nonsense', 8, 218, b'.version'), (PTX, len(PTX) + 1, 218, b'shorter'),
                    (PTX, 1 << 40, 218, b'more than'))):
                descriptor = os.memfd_create('ptx')
                os.write(descriptor, text)
                socket.send_fds(ours, [struct.pack('<IIQ', number, 0, length)], [descriptor])
                os.close(descriptor)
                packet, descriptors, _, _ = socket.recv_fds(ours, 1 << 16, 1)
                identifier, result, log_length = struct.unpack_from('<IiI', packet)
                self.assertEqual((number, status), (identifier, result))
                self.assertEqual(len(packet) - 12, log_length)
                self.assertIn(word, packet[12:])
                self.assertEqual(int(status == 0), len(descriptors))
                for found in descriptors:
                    self.assertTrue(self._read(found).startswith(b'module'))
            ours.send(b'short')
        finally:
            ours.close()
            thread.join(10)
        self.assertFalse(thread.is_alive())


class CompilerTest(unittest.TestCase):
    def test_larger_sources_are_optimised_less(self) -> None:
        levels = [compiler.compiler_flags(size)[0] for size in (1000, 1 << 20, 1 << 30)]
        self.assertEqual(['-O2', '-O1', '-O0'], levels)

    def test_nothing_may_be_contracted_or_assumed(self) -> None:
        flags = compiler.compiler_flags(0)
        for flag in ('-ffp-contract=off', '-fwrapv', '-fno-strict-aliasing'):
            self.assertIn(flag, flags)
        self.assertNotIn('-ffast-math', flags)

    def test_the_runtime_needs_no_file_of_ours(self) -> None:
        self.assertNotIn('#include "', compiler.RUNTIME)

    def test_a_compiler_that_refuses_is_an_error_with_its_message(self) -> None:
        with tempfile.TemporaryDirectory() as directory, self.assertRaises(PtxError) as caught:
            compiler.compile_source('this is no C', Path(directory) / 'out.so')
        self.assertIn('internal error', str(caught.exception))
