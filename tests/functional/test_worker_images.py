# SPDX-License-Identifier: Apache-2.0
"""What the worker reads in modules before it gives them to the driver: variables, their names and their sizes."""

import pathlib
import struct
import subprocess
import tempfile
import unittest
from typing import ClassVar, Final

from tests.functional import test_worker, worker_case
from tests.functional import worker_peer as peer
from tests.functional.worker_peer import MIB
from tests.support import cubins

ROOT: Final = pathlib.Path(__file__).parents[2]
NATIVE: Final = ROOT / 'accelpool/remoting/native'
SOURCES: Final = ('worker/cuda/ptx_variables.c', 'worker/cuda/cubin_variables.c', 'worker/cuda/fatbin.c', 'worker/cuda/jit.c',
                  'common/ptx_scan.c', 'common/cubin_file.c')
SOURCE: Final = b"""
__device__ char gbig[60 << 20];
__device__ int gset[4] = {1, 2, 3, 4};
__constant__ float gfactors[100];
static __device__ int gstatic;
namespace inner { __device__ double number; }
extern "C" __global__ void kernel(int *out, int n)
{
    static __device__ int gcalls;
    __shared__ int scratch[1000];
    scratch[n] = gcalls++;
    out[n] = gbig[n] + gset[n] + gfactors[n] + gstatic++ + inner::number + scratch[n + 1];
    if (out[n] == 17)
        printf("%d", n);
}
"""
NAMES: Final = {'gbig', 'gset', 'gfactors', 'gstatic', '_ZN5inner6numberE', '_ZZ6kernelE6gcalls'}
SIZE: Final = (60 << 20) + 16 + 400 + 4 + 8 + 4
PTX: Final = b""".version 8.0
.target sm_75
.address_size 64
.global .align 4 .u32 matrix[2][3][4];           // 96
.global .align 4 .u32 values[] = {1, 2, 3};      // 12
.global .align 8 .u64 addresses[2] = {generic(values), matrix};
.global .v4 .f32 vectors[0xAU], one, many[010];  // 160, 16 and 128
.visible .const .align 16 .b8 text[3] = {97, 98, 99};
/* .global .u32 not_this[100]; */
.global .attribute(.managed) .u32 managed;
.visible .entry kernel(.param .u64 .ptr .global .align 8 parameter) {
    .global .u32 inside[1000];
    { .const .u8 deeper[5]; }
    .pragma "nounroll .global .u32 nor_this";
    ld.global.u32 %r1, [inside];
    ret;
}
"""
UNKNOWN: Final = 0xffff_ffff_ffff_ffff


class Images(unittest.TestCase):
    """The readers alone, with a sanitizer; each image is also cut off anywhere and has wrong bytes."""

    place: ClassVar[pathlib.Path]

    @classmethod
    def setUpClass(cls) -> None:
        cls.place = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        subprocess.run(
            ['gcc', '-std=c11', '-D_GNU_SOURCE', '-O1', '-g', '-Wall', '-Wextra', '-Werror', '-Wshadow',
             '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined', f'-I{NATIVE}/common', f'-I{NATIVE}/worker/cuda',
             '-o', cls.place / 'variables_test', ROOT / 'tests/native/worker/variables_test.c',
             *(NATIVE / source for source in SOURCES), '-lzstd'], check=True)

    def read(self, kind: str, image: bytes, capability: int = 90, *, broken: bool = False) -> tuple[int, int, list[str]]:
        """Return bytes of variables, bytes of code and the names."""
        file = self.place / 'image'
        file.write_bytes(image)
        result = subprocess.run([self.place / 'variables_test', kind, str(capability), file], capture_output=True, text=True)
        self.assertEqual((2 if broken else 0, ''), (result.returncode, result.stderr))
        size, code, *names = result.stdout.split()
        return int(size), int(code), names

    def test_machine_code(self) -> None:
        for architecture in ('sm_75', 'sm_80', 'sm_90', 'sm_100', 'sm_120'):
            with self.subTest(architecture):
                image = cubins.cubin(SOURCE, architecture)
                size, code, names = self.read('cubin', image)
                self.assertEqual((NAMES, len(NAMES)), (set(names), len(names)))
                self.assertTrue(SIZE <= size < SIZE + 256, size)
                self.assertTrue(128 <= code < len(image), code)

    def test_ptx_of_the_compiler(self) -> None:
        text = cubins.ptx(SOURCE)
        size, code, names = self.read('ptx', text + b'\0')
        self.assertLessEqual(NAMES, set(names))
        self.assertTrue(SIZE <= size < SIZE + 256, size)
        self.assertEqual(len(text), code)

    def test_ptx(self) -> None:
        size, _, names = self.read('ptx', PTX + b'\0.global .u32 behind_the_end;')
        self.assertEqual(['matrix', 'values', 'addresses', 'vectors', 'one', 'many', 'text', 'managed', 'inside', 'deeper'], names)
        self.assertEqual(96 + 12 + 16 + 160 + 16 + 128 + 16 + 4 + 4000 + 5, size)

    def test_ptx_that_declares_more_than_can_be(self) -> None:
        for declaration in (b'.b8 x[18446744073709551616];', b'.b64 x[4294967296][4294967296];', b'.b64 x[0x2000000000000000];',
                            b'.b8 x[9223372036854775808], y[9223372036854775808];', b'.b8 x[many];'):
            with self.subTest(declaration):
                self.assertEqual(UNKNOWN, self.read('ptx', b'.version 8.0 .global ' + declaration)[0])

    def test_machine_code_that_declares_more_than_can_be(self) -> None:
        """As somebody would who wants device memory for nothing."""
        image = bytearray(cubins.cubin(SOURCE, 'sm_90'))
        table, = struct.unpack_from('<Q', image, 40)
        count, = struct.unpack_from('<H', image, 60)
        headers = [table + 64 * index for index in range(count)]
        empty = next(at for at in headers if struct.unpack_from('<I', image, at + 4)[0] == 8
                     and struct.unpack_from('<Q', image, at + 32)[0] > 60 << 20)  # NOBITS: .nv.global
        struct.pack_into('<Q', image, empty + 32, 2**64 - 1)
        self.assertEqual(UNKNOWN, self.read('cubin', bytes(image))[0])

    def test_fat_binaries_compressed_and_not(self) -> None:
        parts = [(cubins.cubin(SOURCE, 'sm_90'), '90'), (cubins.ptx(SOURCE), '75')]
        least = self.read('cubin', parts[0][0])[1]
        for options in (('-compress=false',), ('-compress-all',), ('-compress-all', '-compress-mode=speed')):
            with self.subTest(options):
                size, code, names = self.read('fatbin', cubins.fatbin(parts, *options))
                self.assertLessEqual(NAMES, set(names))
                self.assertTrue(SIZE <= size < SIZE + 256, size)
                self.assertTrue(least <= code <= len(parts[1][0]), code)

    def test_parts_of_a_fat_binary_that_the_device_does_not_load(self) -> None:
        def source(name: str, size: int) -> bytes:
            return f'__device__ char {name}[{size}]; extern "C" __global__ void kernel(int *p) {{ *p = {name}[*p]; }}'.encode()

        image = cubins.fatbin(
            [(cubins.cubin(source('of80', 80 << 10), 'sm_80'), '80'), (cubins.cubin(source('of86', 86 << 10), 'sm_86'), '86'),
             (cubins.cubin(source('of90', 90 << 10), 'sm_90'), '90'), (cubins.ptx(source('text', 75 << 10)), '75'),
             (cubins.ptx(source('newer', 100 << 10), 'compute_100'), '100')], '-compress-all')
        for capability, names in ((75, {'text'}), (80, {'of80', 'text'}), (89, {'of80', 'of86', 'text'}), (90, {'of90', 'text'}),
                                  (103, {'text', 'newer'})):
            with self.subTest(capability):
                size, _, found = self.read('fatbin', image, capability)
                self.assertEqual(names, set(found))
                largest = {'text': 75, 'of80': 80, 'of86': 86, 'of90': 90, 'newer': 100}
                self.assertEqual(max(largest[name] for name in names) << 10, size)

    def test_fat_binaries_that_contradict_themselves(self) -> None:
        image = cubins.fatbin([(cubins.ptx(SOURCE), '75')], '-compress-all')
        self.read('fatbin', image)
        for what, at, content in (('more than there is', 16 + 8, struct.pack('<Q', len(image))),
                                  ('another size than what is packed', 16 + 56, struct.pack('<Q', 100)),
                                  ('more than is unpacked', 16 + 56, struct.pack('<Q', 1 << 40)),
                                  ('no magic', 0, b'none'), ('not packed in that way', 16 + 41, b'\x20')):
            with self.subTest(what):
                self.read('fatbin', image[:at] + content + image[at + len(content):], broken=True)


class Variables(worker_case.WorkerCase):
    """Variables of modules in a session: charged, found by name, and the session's."""

    CUBIN, FATBIN = 2, 3

    def free(self, session: peer.Session) -> int:
        """Return what the ledger has, when the worker has done what it was told before."""
        return int(struct.unpack('<QQ', session.call(peer.MEMINFO).body)[0])

    def test_variables_of_machine_code_are_paid_for(self) -> None:
        image = cubins.cubin(SOURCE, 'sm_90')
        joined = cubins.fatbin([(image, '90'), (cubins.ptx(SOURCE), '75')], '-compress-all')
        for kind, content in ((self.CUBIN, image), (self.FATBIN, joined)):
            with self.subTest(kind):
                session = self.start(limit=64 * MIB)
                answer = session.load(content, 1, kind)
                self.assertEqual(0, answer.status)
                _known, _kernels, variables = struct.unpack_from('<III', answer.body)
                self.assertEqual(4, variables, "the stub has what begins with g; static ones inside a kernel have other names")
                self.assertEqual(1, answer.body.count(b'gbig\0'))
                self.assertTrue(SIZE <= 64 * MIB - session.agent.free < SIZE + 512)
                self.assertEqual(test_worker.OUT_OF_MEMORY, session.load(content, 2, kind).status)
                session.send(peer.MODULE_UNLOAD, struct.pack('<II', 1, 0))
                self.assertEqual(64 * MIB, self.free(session))

    def test_code_beyond_what_the_device_pays_for_is_paid_for(self) -> None:
        session = self.start()
        text = test_worker.PTX[:-1].ljust(20 * MIB - 1) + b'\0'
        variables = 2048
        for number, beyond in ((1, 0), (2, 8 * MIB - 2), (3, 28 * MIB - 3)):
            self.assertEqual(0, session.load(text, number).status)
            self.assertEqual(256 * MIB - number * variables - beyond, self.free(session))
        session.agent.free = 19 * MIB
        self.assertEqual(test_worker.OUT_OF_MEMORY, session.load(text, 4).status)
        self.assertEqual(19 * MIB, self.free(session))
        for number in (1, 2, 3):
            session.send(peer.MODULE_UNLOAD, struct.pack('<II', number, 0))
        self.assertEqual(19 * MIB + 28 * MIB - 3 + 3 * variables, self.free(session))

    def test_what_is_no_machine_code_is_not_given_to_the_driver(self) -> None:
        session = self.start()
        image = cubins.cubin(SOURCE, 'sm_90')
        for kind, content in ((self.CUBIN, image[:100]), (self.FATBIN, image)):
            self.assertEqual(200, session.load(content, 1, kind).status)
        self.assertEqual(0, session.load(image, 1, self.CUBIN).status)

    def test_a_variable_that_the_image_does_not_tell_of_is_asked_for(self) -> None:
        session = self.start()
        session.load(test_worker.PTX, 1)

        def find(name: bytes, module: int = 1) -> peer.Answer:
            return session.call(peer.GLOBAL, struct.pack('<II', module, len(name)) + name)

        answer = find(b'ghidden\0')
        self.assertEqual(0, answer.status)
        address, size = struct.unpack('<QQ', answer.body)
        self.assertEqual(1000, size)
        session.copy_in(address, b'hidden')
        self.assertEqual(b'hidden', session.copy_out(address, 6).body)
        self.assertEqual(test_worker.INVALID_VALUE, session.copy_out(address + 996, 5).status)
        self.assertEqual(256 * MIB - 3072, self.free(session), 'three of a thousand bytes')
        find(b'ghidden\0')
        self.assertEqual(256 * MIB - 3072, self.free(session), 'it is the same one')
        self.assertEqual(500, find(b'other\0').status)
        self.assertEqual(test_worker.INVALID_HANDLE, find(b'ghidden\0', 2).status)
        session.send(peer.MODULE_UNLOAD, struct.pack('<II', 1, 0))
        self.assertEqual(256 * MIB, self.free(session))
        self.assertEqual(test_worker.INVALID_VALUE, session.copy_out(address, 5).status)

    def test_a_variable_that_is_asked_for_is_paid_for(self) -> None:
        session = self.start()
        session.load(test_worker.PTX, 1)
        session.agent.free = 512  # other sessions of the slice have the rest
        find = struct.pack('<II', 1, 8) + b'ghidden\0'
        self.assertEqual(test_worker.OUT_OF_MEMORY, session.call(peer.GLOBAL, find).status)
        session.agent.free = 1024
        self.assertEqual(0, session.call(peer.GLOBAL, find).status)

    def test_a_malformed_question_ends_the_session(self) -> None:
        for payload in (b'', struct.pack('<II', 1, 3) + b'abc', struct.pack('<II', 1, 5) + b'abc\0'):
            with self.subTest(payload):
                session = self.start()
                session.send(peer.GLOBAL, payload, peer.WANT_REPLY)
                self.assert_ended(session)
