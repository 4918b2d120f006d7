# SPDX-License-Identifier: Apache-2.0
"""The worker of an AscendCL session against a client that does not keep to the rules; ASan and UBSan watch."""

import hashlib
import os
import pathlib
import struct
import unittest

from accelpool.remoting import artefacts
from accelpool.remoting.agent import exports
from accelpool.remoting.generator import model
from tests.functional import worker_peer as peer
from tests.functional.acl_arguments import NPU_MAGIC, arguments
from tests.support.agent import wait_for

ROOT = pathlib.Path(__file__).parents[2]
PACK = {'i32': 'i', 'u32': 'I', 'u64': 'Q', 'f32': 'f'}
INVALID_VALUE, INVALID_HANDLE, NOT_SUPPORTED = 1, 400, 801
SYNCHRONIZE, COPY, GET_FUNCTION, BY_ENTRY, LAUNCH = 64, 85, 86, 87, 88
CREATE_EVENT, EXPORT, ALLOW, IMPORT, CLOSE, SHARE_EVENT, OPEN_EVENT, SOC_SPEC = 73, 100, 101, 102, 103, 104, 105, 106
BINARY = 4
#: Of the calls whose frame is not generated: one of the right length.
WELL_FORMED = {
    COPY: struct.pack('<4Q', peer.BASE, peer.BASE + 64, 64, 0), GET_FUNCTION: struct.pack('<QQI5s', 16, 20, 5, b'fill'),
    BY_ENTRY: struct.pack('<3Q', 16, 20, 0), LAUNCH: struct.pack('<QQ4I', 20, 0, 1, 1, 1, 16) + bytes(20 + 8 + 16),
    EXPORT: struct.pack('<QQII', peer.BASE, 16, 1, 0), ALLOW: struct.pack('<64sII2i', b'', 2, 0, 7, 8),
    IMPORT: struct.pack('<64siIQ', b'', 1, 0, 0), CLOSE: struct.pack('<64sQQ', b'', 0, 0), SHARE_EVENT: struct.pack('<Q', 16),
    OPEN_EVENT: struct.pack('<64sQ', b'', 21), SOC_SPEC: struct.pack('<64s64sII', b'version', b'NpuArch', 512, 0)}


class VendorsOwn(unittest.TestCase):
    def test_what_another_tenant_left_is_cleared(self) -> None:
        directory = peer.build('harness', 'asan')
        with peer.Session(directory, directory / 'libstub-acl.so', interface='acl') as session:
            session.reserve_range()
            self.assertEqual(0, session.lease(peer.BASE, 2 * peer.GRANULE, peer.GRANULE).status)
            self.assertEqual(bytes(2 * peer.GRANULE), session.copy_out(peer.BASE, 2 * peer.GRANULE).body)


class WorkerAcl(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.directory = peer.build('harness', 'asan')
        cls.interface = model.load(ROOT / 'accelpool/remoting/interfaces/acl.yaml')

    def setUp(self) -> None:
        self.session = self.enterContext(peer.Session(
            self.directory, artefacts.emulated_library('acl'), interface='acl')).reserve_range()
        answer = self.session.lease(peer.BASE, peer.GRANULE, peer.GRANULE)
        self.assertEqual(0, answer.status)

    def payload(self, function: model.Function, number: int) -> bytes:
        """The call's frame with this number for everything that a client chooses."""
        packed = b''
        for argument in function.args:
            if not argument.returns:
                kind = 'u64' if argument.creates else self.interface.wire(argument)
                packed += struct.pack('<' + PACK.get(kind, 'Q'), number & (0xffffffff >> (kind == 'i32')) if
                                      PACK.get(kind) in ('i', 'I') else number)
        return packed

    def assert_alive(self) -> None:
        self.assertEqual(0, self.session.call(peer.MEMINFO).status)

    @staticmethod
    def binary(number: int, *names: bytes) -> tuple[bytes, bytes]:
        """What announces a binary with these kernels, and the binary."""
        image = NPU_MAGIC + b''.join(name + b'\n' for name in names)
        call = struct.pack('<IIQ32sII', number, BINARY, len(image), hashlib.sha256(image).digest(), 0, 0) + bytes(128)
        return call, image

    def load(self, number: int, *names: bytes) -> None:
        call, image = self.binary(number, *names)
        sent = self.session.send(peer.MODULE_DATA, call, peer.WANT_REPLY)
        self.session.send(peer.DATA, image)
        self.assertEqual(0, self.session.reply(sent).status)

    def test_handles_and_addresses_that_are_not_the_sessions(self) -> None:
        tried = 0
        for function in self.interface.calls:
            handles = [a for a in function.args if a.ctype in {'aclrtStream', 'aclrtEvent'}]
            ranges = [a for a in function.args if a.reads or a.writes]
            if function.by_hand or not (handles or ranges):
                continue
            for number in (99, (1 << 20) - 1, 1 << 20, (1 << 64) - 1):
                status = self.session.call(function.opcode, self.payload(function, number)).status
                self.assertIn(status, {INVALID_HANDLE, INVALID_VALUE, NOT_SUPPORTED}, f'{function.name}({number})')
                tried += 1
        self.assertGreater(tried, 60)
        self.assert_alive()

    def test_a_frame_of_another_length_ends_the_session(self) -> None:
        """Every call: without anything, a byte, half of it, a byte less, a byte more, twice as much."""
        tried = set()
        for function in self.interface.calls:
            whole = WELL_FORMED[function.opcode] if function.by_hand else self.payload(function, 16)
            for length in {0, 1, len(whole) // 2, len(whole) - 1, len(whole) + 1, 2 * len(whole)} - {-1, len(whole)}:
                with self.subTest(function.name, length=length), peer.Session(
                        self.directory, artefacts.emulated_library('acl'), interface='acl') as session:
                    session.reserve_range()
                    with self.assertRaises(peer.Ended):
                        session.call(function.opcode, (whole + bytes(len(whole) + 1))[:length])
                tried.add(function.name)
        self.assertEqual({function.name for function in self.interface.calls}, tried)

    def test_a_copy_on_the_device_stays_inside_the_session(self) -> None:
        inside, size = peer.BASE, peer.GRANULE
        self.assertEqual(0, self.session.call(COPY, struct.pack('<4Q', inside, inside + 4096, 4096, 0)).status)
        for to, source, count in ((inside + size - 1, inside, 4096), (inside, inside + size, 1), (0, inside, 1),
                                  (inside, inside, 1 << 63), ((1 << 64) - 8, inside, 16)):
            status = self.session.call(COPY, struct.pack('<4Q', to, source, count, 0)).status
            self.assertEqual(INVALID_VALUE, status, (to, source, count))
        self.assert_alive()

    def function(self, module: int, number: int, name: bytes) -> int:
        return self.session.call(GET_FUNCTION, struct.pack('<QQI', module, number, len(name)) + name).status

    def launch(self, function: int, data: bytes, places: tuple[tuple[int, int], ...] = (), size: int | None = None) -> int:
        head = struct.pack('<QQ4I', function, 0, 1, 0, len(places), len(data) if size is None else size)
        return self.session.call(LAUNCH, head + b''.join(struct.pack('<II', *place) for place in places) + data).status

    def test_a_binary_that_is_known_is_not_sent_again(self) -> None:
        """By this session, and by others of the project: what is offered is there, and its functions are found."""
        def offer(session: peer.Session, number: int) -> int:
            answer = session.call(peer.MODULE_OFFER, self.binary(number, b'fill', b'add')[0])
            self.assertEqual(0, answer.status)
            return struct.unpack_from('<I', answer.body)[0]

        self.assertEqual(0, offer(self.session, 16))
        self.load(16, b'fill', b'add')
        self.assertEqual(1, offer(self.session, 17))
        self.assertEqual(0, self.function(17, 20, b'add\0'))
        self.session.agent.wait_for(peer.KEEP)
        (digest, content), = self.session.agent.content.items()
        with peer.Session(self.directory, artefacts.emulated_library('acl'), interface='acl') as other:
            other.reserve_range().agent.content[digest] = os.dup(content)
            self.assertEqual(1, offer(other, 16))
            self.assertEqual(0, other.call(GET_FUNCTION, struct.pack('<QQI4s', 16, 20, 4, b'add')).status)

    def test_functions_and_launches(self) -> None:
        self.load(16, b'fill')
        for module, name, status in ((17, b'fill\0', INVALID_HANDLE), (1 << 33, b'fill\0', INVALID_HANDLE),
                                     (16, b'mul\0', 107000), (16, b'fill\0', 0)):
            self.assertEqual(status, self.function(module, 20, name), (module, name))
        data = arguments([peer.BASE], 256, numbers=(0, 0, 0, 0))
        self.assertEqual(INVALID_HANDLE, self.launch(21, data))
        for place in ((len(data) - 7, 8), (8, len(data)), (1 << 31, 1 << 31)):
            self.assertEqual(INVALID_VALUE, self.launch(20, data, (place,)), place)
        self.assertEqual(0, self.launch(20, data, ((8, 16),)))
        self.assert_alive()
        with self.assertRaises(peer.Ended):
            self.function(16, 20, b'fill\0')  # the number is taken

    def test_launches_that_contradict_their_length_end_the_session(self) -> None:
        self.load(16, b'fill')
        self.function(16, 20, b'fill\0')
        with self.assertRaises(peer.Ended):
            self.launch(20, b'x' * 16, size=17)

    def test_whatever_a_launch_says_the_worker_survives_and_the_device_faults(self) -> None:
        good = arguments([peer.BASE] * 3, 16)
        tiling, shape = 32, 32 + 8 + 32 + 96
        for at, value in ((0, 0), (8, 1 << 62), (16, (1 << 64) - 1), (16, peer.BASE + peer.GRANULE - 4), (24, 0),
                          (tiling, 7), (shape, 99), (shape, 9 << 32), (shape + 8, 1 << 40), (shape + 8, (1 << 64) - 1),
                          (shape + 72, 1 << 62), (shape + 136, 1 << 39), (shape + 136, (1 << 64) - 4)):
            with self.subTest(at=at, value=value), peer.Session(
                    self.directory, artefacts.emulated_library('acl'), interface='acl') as session:
                self.session = session.reserve_range()
                session.lease(peer.BASE, peer.GRANULE, peer.GRANULE)
                self.load(16, b'add')
                self.function(16, 20, b'add\0')
                self.launch(20, good[:at] + struct.pack('<Q', value) + good[at + 8:], () if at == 24 else ((24, 32),))
                self.assertIn(session.call(SYNCHRONIZE).status, {107000, 507015})
                self.assert_alive()

    def test_shared_memory_stays_inside_the_session(self) -> None:
        inside, size, key = peer.BASE, peer.GRANULE, b'0' * 64
        for address, count in ((0, 16), (inside + size, 1), (inside, size + 1), (inside, 0), (inside, 1 << 63),
                               ((1 << 64) - 8, 16), (inside, (1 << 64) - 1)):
            status = self.session.call(EXPORT, struct.pack('<QQII', address, count, 1, 0)).status
            self.assertIn(status, {INVALID_VALUE, 207005}, (address, count))
        answer = self.session.call(EXPORT, struct.pack('<QQII', inside + 4096, 8192, 1, 0))
        self.assertEqual((0, 64), (answer.status, len(answer.body)))
        key = answer.body
        answer = self.session.call(IMPORT, struct.pack('<64siIQ', key, 1, 0, 0))
        self.assertEqual((0, struct.pack('<3Q', size, 4096, 8192)), (answer.status, answer.body))
        for place in (inside, inside + 1, 1, inside + self.session.range_size, (1 << 64) - size):
            self.assertEqual(INVALID_VALUE, self.session.call(IMPORT, struct.pack('<64siIQ', key, 1, 0, place)).status, place)
        self.assertEqual(INVALID_VALUE, self.session.call(IMPORT, struct.pack('<64siIQ', b'1' * 64, 1, 0, 0)).status)
        place = inside + 8 * size
        free = self.session.agent.free
        self.assertEqual(0, self.session.call(IMPORT, struct.pack('<64siIQ', key, 1, 0, place)).status)
        self.assertEqual(size, free - self.session.agent.free)  # paid for
        self.session.copy_in(place + 4096, b'to the other end')
        self.assertEqual(b'to the other end', self.session.copy_out(inside + 4096, 16).body)
        # A lease neither returns it nor maps over it.
        self.session.send(peer.LEASE_RETURN, struct.pack('<4Q', place, size, 0, 0))
        self.session.lease(place, size, 0)
        self.assertEqual(b'to the other end', self.session.copy_out(place + 4096, 16).body)
        self.assertEqual(INVALID_VALUE, self.session.call(EXPORT, struct.pack('<QQII', place, 16, 1, 0)).status)
        for address, length in ((inside, size), (place, 2 * size), (place, 0), (place + 1, size), (place - size, 2 * size),
                                (1 << 63, size), (place, (1 << 64) - size)):
            self.assertEqual(INVALID_VALUE, self.session.call(CLOSE, struct.pack('<64sQQ', key, address, length)).status)
        self.assertEqual(0, self.session.call(CLOSE, struct.pack('<64sQQ', key, place, size)).status)
        self.assertEqual(INVALID_VALUE, self.session.call(CLOSE, struct.pack('<64sQQ', key, place, size)).status)
        self.assertEqual(INVALID_VALUE, self.session.copy_out(place + 4096, 16).status)
        # What is given back, the agent hears of after the program.
        wait_for(lambda: self.session.agent.free == free, 'what was given back')
        self.assertEqual(0, self.session.call(CLOSE, struct.pack('<64sQQ', key, 0, 0)).status)
        self.assertEqual(INVALID_VALUE, self.session.call(IMPORT, struct.pack('<64siIQ', key, 1, 0, 0)).status)
        self.assert_alive()

    def test_numbers_that_the_device_does_not_know_are_no_memory(self) -> None:
        shared = self.session.agent.exports
        for numbers in (bytes(8), b'\xff' * 8, bytes(64)):
            key = shared.add(0, exports.Memory(4096, 0, numbers), True, None)
            call = struct.pack('<64siIQ', key, 1, 0, peer.BASE + 8 * peer.GRANULE)
            self.assertEqual(107000, self.session.call(IMPORT, call).status)
        key = shared.add(0, exports.Memory(peer.GRANULE, 1, bytes(8)), True, None)
        self.assertNotEqual(0, self.session.call(IMPORT, struct.pack('<64siIQ', key, 1, 0, 0)).status)
        with open('/dev/null', 'rb') as file:
            shared.leave(0)
            key = shared.add(0, exports.Memory(4096, 0, bytes(8)), True, file.fileno())
            self.assertEqual(NOT_SUPPORTED, self.session.call(IMPORT, struct.pack(
                '<64siIQ', key, 1, 0, peer.BASE + 8 * peer.GRANULE)).status)
        key = shared.add(0, exports.Memory(0, 0, bytes(64)), True, None)
        self.assertNotEqual(0, self.session.call(OPEN_EVENT, struct.pack('<64sQ', key, 30)).status)
        self.assert_alive()

    def test_events_that_sessions_share(self) -> None:
        for number in (99, 1 << 20, (1 << 64) - 1):
            self.assertEqual(INVALID_HANDLE, self.session.call(SHARE_EVENT, struct.pack('<Q', number)).status)
        self.assertEqual(0, self.session.call(CREATE_EVENT, struct.pack('<QI', 20, 0x40)).status)
        key = self.session.call(SHARE_EVENT, struct.pack('<Q', 20)).body
        self.assertEqual(64, len(key))
        self.assertEqual(0, self.session.call(OPEN_EVENT, struct.pack('<64sQ', key, 21)).status)
        self.assertEqual(INVALID_VALUE, self.session.call(OPEN_EVENT, struct.pack('<64sQ', b'x' * 64, 22)).status)
        with self.assertRaises(peer.Ended):
            self.session.call(OPEN_EVENT, struct.pack('<64sQ', key, 21))  # the number is taken

    def test_processes_that_contradict_their_number_end_the_session(self) -> None:
        for payload in (struct.pack('<64sII', b'', 2, 0) + bytes(4), struct.pack('<64sII', b'', 1 << 30, 0)):
            with self.subTest(length=len(payload)), peer.Session(
                    self.directory, artefacts.emulated_library('acl'), interface='acl') as session, \
                    self.assertRaises(peer.Ended):
                session.reserve_range().call(ALLOW, payload)

    def test_another_vendors_images_and_calls(self) -> None:
        call = peer.module_call(b'.version 7.0\0', 16)
        sent = self.session.send(peer.MODULE_DATA, call, peer.WANT_REPLY)
        self.session.send(peer.DATA, b'.version 7.0\0')
        self.assertEqual(NOT_SUPPORTED, self.session.reply(sent).status)
        self.assert_alive()
