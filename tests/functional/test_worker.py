# SPDX-License-Identifier: Apache-2.0
"""A worker process as a client and an agent see it, with the stub vendor library of tests/native."""

import os
import random
import struct
import time
from typing import Final
from unittest import mock

from tests.functional import worker_case
from tests.functional import worker_peer as peer
from tests.functional.worker_case import SET_LIMIT, STUB_MODE
from tests.functional.worker_peer import BASE, GRANULE, MIB

SYNCHRONIZE: Final = 64
STREAM_CREATE, STREAM_DESTROY, STREAM_SYNCHRONIZE = 65, 67, 68
MEMSET_D8: Final = 78
EVENT_CREATE, EVENT_SYNCHRONIZE = 71, 75
TENSOR_TILED: Final = 95
BUSY, HIDDEN, LAUNCH_FAILS, FULL, HANG, THIRD_FAILS, PRINTS = 1, 2, 4, 8, 16, 64, 128
PINNED, MAPPINGS = 0x59, 0x5a
INVALID_VALUE, OUT_OF_MEMORY, INVALID_PTX, INVALID_HANDLE, LAUNCH_FAILED, NOT_SUPPORTED = 1, 2, 218, 400, 719, 801
PTX: Final = b'.version 8.0\n.visible .global .align 4 .u32 g1 = 7;\n.const .f32 gx[2];\n// .global .u32 gno;\n' \
             b'.visible .entry store(.param .u64 .ptr .global gparam) { .reg .u32 %r; ret; }\n\0'


class TestStart(worker_case.WorkerCase):
    """Handshake tail."""

    def test_welcome_carries_limit_and_snapshot(self) -> None:
        session = self.start(limit=96 * MIB)
        version, _zero, window, limit, granule, size, length, _zero2 = struct.unpack_from('<HHIQQQII', session.welcome)
        self.assertEqual((1, 4 * MIB, 96 * MIB, GRANULE), (version, window, limit, granule))
        self.assertEqual(len(session.welcome), 40 + length)
        self.assertGreaterEqual(size, 4 * limit)
        self.assertEqual(13000, struct.unpack_from('<i', session.welcome, 40)[0])
        self.assertEqual(b'stub 0', session.welcome[56:56 + 256].rstrip(b'\0'))
        attributes = struct.unpack_from('<192i', session.welcome, 40 + 16 + 256 + 32 + 16)
        self.assertEqual((740, -2**31), (attributes[74], attributes[101]))
        session.agent.wait_for(peer.READY)

    def test_a_library_that_does_not_open_is_refused(self) -> None:
        with self.assertRaises(peer.Ended) as ended:
            peer.Session(self.directory, self.directory / 'missing.so')
        self.assertIn(b'does not start', ended.exception.args[0])

    def test_no_session_runs_without_the_mps_that_limits_it(self) -> None:
        for said in ('', '0', '1'):
            with self.subTest(said), mock.patch.dict(os.environ, {'ACCELPOOL_NEEDS_MPS': '1', 'STUB_MPS': said}):
                if not said:
                    del os.environ['STUB_MPS']  # a driver that does not tell
                if said == '1':
                    self.start()
                    continue
                with self.assertRaises(peer.Ended) as ended:
                    peer.Session(self.directory, self.directory / 'libstub.so')
                self.assertIn(b'MPS, which limits the slice, is not reached', ended.exception.args[0])

    def test_a_range_that_is_taken_or_odd_can_be_tried_again(self) -> None:
        session = peer.Session(self.directory, self.directory / 'libstub.so')
        self.addCleanup(session.close)
        for base in (BASE + 4096, 1 << 50, 2**64 - GRANULE):
            self.assertEqual(INVALID_VALUE, session.call(peer.RANGE, struct.pack('<QQ', base, session.range_size)).status)
        self.assertEqual(INVALID_VALUE, session.call(peer.RANGE, struct.pack('<QQ', BASE, GRANULE)).status)
        session.reserve_range()

    def test_a_range_may_be_smaller_as_long_as_the_slice_fits(self) -> None:
        gib = 1 << 30
        for limit, size, status in ((100 * gib, 512 * gib, 0), (100 * gib, 128 * gib, 0), (100 * gib, 64 * gib, INVALID_VALUE),
                                    (gib, 32 * gib, INVALID_VALUE), (gib, 128 * gib, INVALID_VALUE)):
            with self.subTest(limit=limit, size=size), peer.Session(self.directory, self.directory / 'libstub.so',
                                                                    limit=limit) as session:
                self.assertEqual(status, session.call(peer.RANGE, struct.pack('<QQ', 1 << 45, size)).status)

    def test_a_library_that_chooses_addresses_is_followed_only_when_asked_to_choose(self) -> None:
        other = BASE - (1 << 40)  # below what the kernel chooses by chance
        with mock.patch.dict(os.environ, {'STUB_HINT': f'{other:x}'}):
            session = peer.Session(self.directory, self.directory / 'libstub.so')
        self.assertEqual(OUT_OF_MEMORY, session.call(peer.RANGE, struct.pack('<QQ', BASE, session.range_size)).status)
        answer = session.call(peer.RANGE, struct.pack('<QQ', 0, session.range_size))
        self.assertEqual((0, struct.pack('<Q', other)), (answer.status, answer.body))
        self.assertEqual(0, session.lease(other, GRANULE, MIB).status)
        self.assertIn(f'reserves no 64 GiB of addresses at 0x{BASE:x}: code 0, at 0x{other:x}', session.close())


class TestMemory(worker_case.WorkerCase):
    """Leases and what may be touched."""

    def test_lease_maps_and_returns(self) -> None:
        session = self.start()
        answer = session.lease(BASE, 2 * GRANULE, 3 * MIB, MIB)
        self.assertEqual((0, struct.pack('<3Q', 4 * MIB, BASE, 2 * GRANULE)), (answer.status, answer.body))
        self.assertEqual(252 * MIB, session.agent.free)
        session.copy_in(BASE + GRANULE - 4, b'across..')
        self.assertEqual(b'across..', session.copy_out(BASE + GRANULE - 4, 8).body)
        session.send(peer.LEASE_RETURN, struct.pack('<4Q', BASE, GRANULE, 2 * MIB, 0))
        info = session.call(peer.MEMINFO)
        self.assertEqual((254 * MIB, 256 * MIB), struct.unpack('<QQ', info.body))
        self.assertEqual(INVALID_VALUE, session.copy_out(BASE + GRANULE - 4, 8).status)
        self.assertEqual(0, session.copy_out(BASE + GRANULE, 8).status)
        self.assertEqual(0, session.lease(BASE, GRANULE, 0).status)
        self.assertEqual(bytes(8), session.copy_out(BASE + GRANULE - 8, 8).body)  # mapped anew: nothing of before

    def test_out_of_memory_leaves_nothing_behind(self) -> None:
        session = self.start()
        self.assertEqual(OUT_OF_MEMORY, session.lease(BASE, GRANULE, 257 * MIB).status)
        self.assertEqual(0, session.lease(BASE, GRANULE, 255 * MIB).status)
        self.assertEqual(OUT_OF_MEMORY, session.lease(BASE + GRANULE, GRANULE, 2 * MIB).status)
        self.mode(session, FULL)
        self.assertEqual(OUT_OF_MEMORY, session.lease(BASE + GRANULE, GRANULE, MIB).status)
        self.mode(session, 0)
        self.assertEqual(0, session.lease(BASE + GRANULE, GRANULE, MIB).status)

    def free(self, session: peer.Session) -> int:
        """Return what the ledger has, when the worker has done what it was told before."""
        return struct.unpack('<QQ', session.call(peer.MEMINFO).body)[0]

    def test_mapping_beyond_what_is_leased_is_paid_for(self) -> None:
        session = self.start()
        self.assertEqual(0, session.lease(BASE, 66 * MIB, 256).status)
        self.assertEqual(254 * MIB, self.free(session), 'what is beyond 64 MiB, and the lease')
        self.assertEqual(0, session.lease(BASE, 0, 100 * MIB).status)
        self.assertEqual(156 * MIB - 256, self.free(session), 'a lease covers it now')
        self.assertEqual(OUT_OF_MEMORY, session.lease(BASE, 324 * MIB, 0).status)
        self.assertEqual(156 * MIB - 256, self.free(session))
        self.assertEqual(0, session.lease(BASE, 320 * MIB, 0).status)
        self.assertEqual(0, self.free(session))

    def test_what_is_given_back_and_still_mapped_is_not_free(self) -> None:
        session = self.start()
        self.assertEqual(0, session.lease(BASE, 100 * MIB, 256 * MIB).status)
        self.assertEqual(0, session.lease(BASE + 100 * MIB, 156 * MIB, 0).status)
        session.send(peer.LEASE_RETURN, struct.pack('<4Q', 0, 0, 200 * MIB, 0))
        self.assertEqual(64 * MIB, self.free(session))
        session.send(peer.LEASE_RETURN, struct.pack('<4Q', BASE, 100 * MIB, 0, 0))
        self.assertEqual(164 * MIB, self.free(session))
        session.send(peer.LEASE_RETURN, struct.pack('<4Q', BASE, 256 * MIB, 56 * MIB, 0))
        self.assertEqual(256 * MIB, self.free(session))

    def test_large_leases_are_few_mappings(self) -> None:
        """A driver takes as long for a small one as for a large one."""
        session = self.start(limit=512 * MIB)
        for length, mappings in ((22, 11), (24, 3), (256, 3), (262, 4)):
            with self.subTest(length):
                self.assertEqual(0, session.lease(BASE, length * MIB, length * MIB).status)
                self.assertEqual(mappings, self.limit(session, MAPPINGS))
                session.copy_in(BASE + length * MIB - 4, b'last')
                self.assertEqual(b'last', session.copy_out(BASE + length * MIB - 4, 4).body)
                session.send(peer.LEASE_RETURN, struct.pack('<4Q', BASE, length * MIB, length * MIB, 0))
                self.assertEqual(512 * MIB, self.free(session))
                self.assertEqual(0, self.limit(session, MAPPINGS))
        self.assertEqual(0, session.lease(BASE, 22 * MIB, 22 * MIB).status)
        session.send(peer.LEASE_RETURN, struct.pack('<4Q', BASE + 4 * MIB, 6 * MIB, 6 * MIB, 0))
        self.assertEqual((496 * MIB, 8), (self.free(session), self.limit(session, MAPPINGS)))

    def test_a_large_lease_that_fails_halfway_leaves_nothing(self) -> None:
        session = self.start()
        self.mode(session, THIRD_FAILS)
        self.assertEqual(OUT_OF_MEMORY, session.lease(BASE, 100 * MIB, 100 * MIB).status)
        self.assertEqual((256 * MIB, 0), (self.free(session), self.limit(session, MAPPINGS)))
        self.mode(session, 0)
        self.assertEqual(0, session.lease(BASE, 20 * MIB, 20 * MIB).status)
        session.send(peer.LEASE_RETURN, struct.pack('<4Q', BASE, GRANULE, GRANULE, 0))
        self.assertEqual((238 * MIB, 9), (self.free(session), self.limit(session, MAPPINGS)))

    def test_what_was_mapped_together_goes_together(self) -> None:
        session = self.start()
        self.assertEqual(0, session.lease(BASE, 100 * MIB, 256 * MIB).status)
        session.copy_in(BASE + 50 * MIB, b'a tenant asked for this')
        session.send(peer.LEASE_RETURN, struct.pack('<4Q', BASE, 50 * MIB, 256 * MIB, 0))
        self.assertEqual(222 * MIB, self.free(session), 'all but the first granule stays mapped, 64 MiB of it for nothing')
        for cut in ((BASE + 50 * MIB, 50 * MIB), (BASE + 4 * MIB, 94 * MIB), (BASE + 2 * MIB, 94 * MIB)):
            session.send(peer.LEASE_RETURN, struct.pack('<4Q', *cut, 0, 0))
        self.assertEqual(0, session.lease(BASE, 96 * MIB, 0).status)
        self.assertEqual(b'a tenant asked for this', session.copy_out(BASE + 50 * MIB, 23).body)
        session.send(peer.LEASE_RETURN, struct.pack('<4Q', BASE, 100 * MIB, 0, 0))
        self.assertEqual((256 * MIB, 0), (self.free(session), self.limit(session, MAPPINGS)))

    def test_a_return_of_what_was_not_leased_ends_the_session(self) -> None:
        session = self.start()
        session.lease(BASE, GRANULE, MIB)
        session.send(peer.LEASE_RETURN, struct.pack('<4Q', 0, 0, MIB + 1, 0))
        self.assert_ended(session)

    def test_bytes_alone_come_back_while_a_call_is_blocked(self) -> None:
        session = self.start()
        session.lease(BASE, GRANULE, 8 * MIB)
        self.mode(session, BUSY | HANG)
        blocked = session.send(SYNCHRONIZE, b'', peer.WANT_REPLY)
        session.send(peer.LEASE_RETURN, struct.pack('<4Q', 0, 0, MIB, 0))
        session.agent.wait_for(peer.RELEASE)
        self.mode(session, 0)
        self.assertEqual(0, session.reply(blocked).status)

    def test_recall_reaches_the_client(self) -> None:
        session = self.start()
        session.agent.send(peer.AGENT_RECALL, 0, 5 * MIB)
        self.assertEqual((peer.RECALL, struct.pack('<QQ', 5 * MIB, 1)), session.frame()[::3])
        session.send(peer.LEASE_RETURN, struct.pack('<4Q', 0, 0, 0, 1))  # nothing is unused: nobody need wait for more
        self.assertEqual([(peer.RELEASE, 0, 1, 0)], session.agent.wait_for(peer.RELEASE))

    def test_a_return_that_crosses_a_recall_is_not_its_answer(self) -> None:
        session = self.start()
        session.lease(BASE, GRANULE, 8 * MIB)
        for number in (1, 2):
            session.agent.send(peer.AGENT_RECALL, 0, 5 * MIB)
            self.assertEqual((peer.RECALL, struct.pack('<QQ', 5 * MIB, number)), session.frame()[::3])
        session.send(peer.LEASE_RETURN, struct.pack('<4Q', 0, 0, MIB, 0))  # on its way before
        session.send(peer.LEASE_RETURN, struct.pack('<4Q', 0, 0, MIB, 1))  # of an earlier one
        session.send(peer.LEASE_RETURN, struct.pack('<4Q', 0, 0, MIB, 2))
        session.call(peer.MEMINFO)
        self.assertEqual([(peer.RELEASE, MIB, 0, 0), (peer.RELEASE, MIB, 0, 0), (peer.RELEASE, MIB, 1, 0)],
                         session.agent.wait_for(peer.RELEASE))


class TestCopies(worker_case.WorkerCase):
    """Bytes arrive as they were sent, whichever way they take."""

    def _round_trip(self, bits: int) -> None:
        session = self.start()
        session.lease(BASE, 16 * GRANULE, 32 * MIB)
        self.mode(session, bits)
        noise = random.Random(bits)
        for size in (1, 4096, 65536, 65537, MIB, 9 * MIB + 17):
            data = noise.randbytes(size)
            session.copy_in(BASE + 3, data, chunk=noise.randrange(1, MIB + 1) if size < 3 * MIB and size > MIB / 2 else MIB)
            answer = session.copy_out(BASE + 3, size)
            self.assertEqual((0, 0), (answer.status, answer.sticky))
            self.assertEqual(data, answer.body)

    def test_straight(self) -> None:
        self._round_trip(0)

    def test_staged(self) -> None:
        self._round_trip(BUSY | HIDDEN)

    def test_busy_and_visible(self) -> None:
        self._round_trip(BUSY)

    def test_pinned_memory_is_used_again(self) -> None:
        """A vendor's library takes long to pin memory, and may wait for all of the device to free it."""
        session = self.start()
        session.lease(BASE, 16 * GRANULE, 32 * MIB)
        self.mode(session, BUSY | HIDDEN)
        for size in (1, 3 * MIB, 4) * 10:
            self.assertEqual(0, session.copy_out(BASE, size).status)
        self.assertLess(self.limit(session, PINNED), 10)  # not 1: an answer comes before its memory is free again

    def test_a_bad_range_is_an_error_and_the_data_is_skipped(self) -> None:
        session = self.start()
        session.lease(BASE, GRANULE, MIB)
        session.copy_in(BASE + GRANULE - 65536, bytes(65537))
        self.assertEqual((0, INVALID_VALUE), (lambda a: (a.status, a.sticky or session.deferred[0]))(session.call(SYNCHRONIZE)))
        for address, size in ((BASE - 1, 1), (BASE + GRANULE, 1), (BASE, GRANULE + 1), (2**64 - 1, 2), (0, 8), (BASE, 2**64 - 1)):
            self.assertEqual(INVALID_VALUE, session.copy_out(address, size).status)
        self.assertEqual(0, session.copy_out(2**63, 0).status)

    def test_data_without_a_copy_ends_the_session(self) -> None:
        session = self.start()
        session.send(peer.DATA, b'x')
        self.assert_ended(session)

    def test_a_copy_without_its_data_ends_the_session(self) -> None:
        session = self.start()
        session.lease(BASE, GRANULE, MIB)
        session.send(peer.COPY_IN, struct.pack('<3Q', BASE, MIB, 0))
        session.send(SYNCHRONIZE, b'', peer.WANT_REPLY)
        self.assert_ended(session)


class TestOutput(worker_case.WorkerCase):
    """What kernels print."""

    def test_it_comes_before_the_answer(self) -> None:
        session = self.start()
        self.mode(session, PRINTS)
        for _ in range(2):
            self.assertEqual(0, session.call(SYNCHRONIZE).status)
            said = b''.join(payload for opcode, payload in session.others if opcode == peer.OUTPUT)
            self.assertEqual(b''.join(b'line %10d\n' % line for line in range(1 << 17)), said)
            session.others.clear()
        self.mode(session, 0)
        self.assertEqual(0, session.call(SYNCHRONIZE).status)
        self.assertEqual([], session.others)

    def test_a_client_that_is_slow_loses_some_and_holds_nobody_up(self) -> None:
        session = self.start()
        self.mode(session, PRINTS | BUSY)
        waiting = [session.send(SYNCHRONIZE, b'', peer.WANT_REPLY) for _ in range(20)]  # 40 MiB; nobody reads them
        time.sleep(1)
        text, answered = 0, set()
        while len(answered) < len(waiting):
            opcode, flags, sequence, payload = session.frame()
            text += len(payload) if opcode == peer.OUTPUT else 0
            answered |= {sequence} if flags & peer.REPLY else set()
        self.assertEqual(set(waiting), answered)
        self.assertLess(2 * MIB, text)

    def test_a_client_that_takes_none_of_it(self) -> None:
        for mode in (PRINTS, PRINTS | BUSY):
            with self.subTest(mode):
                session = self.start()
                self.mode(session, mode)
                session.send(SYNCHRONIZE, b'', peer.WANT_REPLY)
                session.frame()
                session.connection.close()
                self.assertEqual(0, session.process.wait(20))


class TestStream(worker_case.WorkerCase):
    """Order, replies, acknowledgements, errors."""

    def test_unknown_handles_and_calls_are_errors(self) -> None:
        session = self.start()
        for handle in (2, 3, 99, 2**20, 2**63):
            self.assertEqual(INVALID_HANDLE, session.call(STREAM_SYNCHRONIZE, struct.pack('<Q', handle)).status)
        self.assertEqual(NOT_SUPPORTED, session.call(60000).status)
        self.assertEqual(INVALID_HANDLE, session.call(peer.LAUNCH, struct.pack('<14I', *[1] * 8, 0, 0, 0, 0, 0, 0)).status)

    def test_a_handle_lives_from_create_to_destroy(self) -> None:
        session = self.start()
        session.send(STREAM_CREATE, struct.pack('<QI', 16, 0))
        self.assertEqual(0, session.call(STREAM_SYNCHRONIZE, struct.pack('<Q', 16)).status)
        session.send(STREAM_DESTROY, struct.pack('<Q', 16))
        self.assertEqual(INVALID_HANDLE, session.call(STREAM_SYNCHRONIZE, struct.pack('<Q', 16)).status)
        session.send(STREAM_CREATE, struct.pack('<QI', 17, 0))
        session.send(STREAM_CREATE, struct.pack('<QI', 17, 0))
        self.assert_ended(session)

    def test_who_waits_for_an_event_leaves_the_core_to_others(self) -> None:
        """The stub makes no events that are waited for by spinning, and no such context."""
        session = self.start()
        session.send(EVENT_CREATE, struct.pack('<QI', 16, 0))
        answer = session.call(EVENT_SYNCHRONIZE, struct.pack('<Q', 16))
        self.assertEqual((0, 0, []), (answer.status, answer.sticky, session.deferred))
        session.send(EVENT_CREATE, struct.pack('<QI', 16, 2))
        self.assert_ended(session)

    def test_frames_out_of_order_end_the_session(self) -> None:
        for sequence in (1, 3, 2**63):
            session = self.start()
            session.send(peer.BARRIER, b'', peer.WANT_REPLY, sequence)
            self.assert_ended(session)

    def test_malformed_frames_end_the_session(self) -> None:
        for opcode, payload, flags in ((SYNCHRONIZE, b'x', 1), (peer.RANGE, b'', 1), (peer.WELCOME, b'', 0), (0, b'', 0),
                                       (peer.LEASE, bytes(31), 1), (peer.LAUNCH, bytes(55), 0), (SYNCHRONIZE, b'', 4),
                                       (SYNCHRONIZE, b'', 256), (peer.MODULE_OFFER, bytes(184), 1), (63, b'', 1),
                                       (peer.SESSION_USAGE, b'x', 1), (peer.SESSION_USAGE, b'', 0)):
            with self.subTest(opcode=opcode):
                session = self.start()
                session.send(opcode, payload, flags)
                self.assert_ended(session)

    def test_a_frame_over_the_limit_ends_the_session_before_it_is_read(self) -> None:
        session = self.start()
        session.raw(peer.HEADER.pack(MIB + 4097, peer.DATA, 0, 2))
        self.assert_ended(session)

    def test_calls_without_reply_are_acknowledged(self) -> None:
        session = self.start()
        last = session.sequence + 1000
        session.raw(b''.join(peer.HEADER.pack(0, peer.BARRIER, 0, n) for n in range(session.sequence + 1, last + 1)))
        while session.acknowledged < last:
            opcode, _flags, _sequence, payload = session.frame()
            self.assertEqual(peer.ACK, opcode)
            session.acknowledged = struct.unpack_from('<Q', payload)[0]
        self.assertEqual(last, session.acknowledged)

    def test_a_failed_call_without_reply_is_reported_once(self) -> None:
        session = self.start()
        session.send(MEMSET_D8, struct.pack('<QBQ', 12345, 1, 8))
        first = session.call(SYNCHRONIZE)
        self.assertEqual([INVALID_VALUE], session.deferred + [first.sticky] * bool(first.sticky))
        self.assertEqual(0, session.call(SYNCHRONIZE).sticky)

    def test_an_error_that_ends_the_context_stays(self) -> None:
        session = self.start()
        session.load(PTX, 1)
        self.mode(session, LAUNCH_FAILS)
        session.send(peer.LAUNCH, struct.pack('<14I', 1, 0, *[1] * 6, 0, 0, 0, 0, 0, 0))
        for _ in range(3):
            self.assertEqual(LAUNCH_FAILED, session.call(SYNCHRONIZE).sticky)

    def test_a_call_that_blocks_does_not_hold_up_the_others(self) -> None:
        session = self.start()
        self.mode(session, BUSY | HANG)
        blocked = {session.send(SYNCHRONIZE, b'', peer.WANT_REPLY) for _ in range(20)}
        last = session.send(SET_LIMIT, struct.pack('<iQ', STUB_MODE, BUSY), peer.WANT_REPLY)
        # Frames of sequence 0 are acknowledgements: they come when they come.
        answers = (sequence for sequence in iter(lambda: session.frame()[2], None) if sequence)
        self.assertEqual(last, next(answers))  # before any that came earlier
        while blocked:
            blocked.remove(next(answers))
        self.mode(session, 0)

    def test_modules_load_once_and_answer_with_their_table(self) -> None:
        session = self.start()
        answer = session.load(PTX, 1)
        known, kernels, variables, log_length, length = struct.unpack_from('<IIIIQ', answer.body)
        self.assertEqual((0, 1, 2, 2, 0), (answer.status, known, kernels, variables, log_length))
        table = answer.body[24:]
        self.assertEqual(length, len(table))
        self.assertEqual((6, 0, 1, -2**31), struct.unpack_from('<IIi', table) + struct.unpack_from('<i', table, 8 + 60))
        second = 72 + 6
        self.assertEqual((6, 2), struct.unpack_from('<II', table, second))
        self.assertEqual((0, 8, 8, 8), struct.unpack_from('<4I', table, second + 72))
        self.assertEqual(b'store\0', table[second + 88:second + 94])
        address, size, name_length = struct.unpack_from('<QQI', table, second + 94)
        self.assertEqual((1000, b'g1\0'), (size, table[second + 94 + 24:][:name_length]))
        self.assertIn(b'gx\0', table)
        self.assertEqual(256 * MIB - 2048, session.agent.free)

        session.copy_in(address, b'seven')
        self.assertEqual(b'seven', session.copy_out(address, 5).body)
        self.assertEqual(INVALID_VALUE, session.copy_out(address + 996, 5).status)

        offer = session.call(peer.MODULE_OFFER, peer.module_call(PTX, 2))
        self.assertEqual((0, 1), (offer.status, struct.unpack_from('<I', offer.body)[0]))
        for number in (1, 2):
            session.send(peer.MODULE_UNLOAD, struct.pack('<II', number, 0))
        self.assertEqual(INVALID_VALUE, session.copy_out(address, 5).status)
        session.call(peer.MEMINFO)
        self.assertEqual(256 * MIB, session.agent.free)

    def test_the_agent_keeps_what_loaded_and_offers_it_to_the_next_session(self) -> None:
        first = self.start()
        first.load(PTX, 1)
        first.load(b'bad\0', 2)
        (_kind, length, _b, _c), = first.agent.wait_for(peer.KEEP)
        self.assertEqual(len(PTX), length)
        (digest, content), = first.agent.content.items()
        self.assertEqual(PTX, os.pread(content, 1000, 0))
        with self.assertRaises(PermissionError):  # sealed
            os.pwrite(content, b'x', 0)
        second = self.start()
        second.agent.content[digest] = os.dup(content)
        offer = second.call(peer.MODULE_OFFER, peer.module_call(PTX, 1))
        self.assertEqual((0, 1, 2), (offer.status, *struct.unpack_from('<II', offer.body)))

    def test_launch_checks_the_parameter_block(self) -> None:
        session = self.start()
        session.load(PTX, 1)
        for size, status in ((0, INVALID_VALUE), (15, INVALID_VALUE), (16, 0), (24, 0)):
            launch = struct.pack('<14I', 1, 1, *[1] * 6, 0, 0, size, 0, 0, 0) + bytes(size)
            self.assertEqual(status, session.call(peer.LAUNCH, launch).status)
        pointer = struct.pack('<14I', 1, 0, *[1] * 6, 0, 1, 0, 0, 0, 0) + struct.pack('<II64s', 1, 0, b'\xff' * 64)
        self.assertEqual(NOT_SUPPORTED, session.call(peer.LAUNCH, pointer).status)
        self.assertEqual(INVALID_HANDLE, session.call(peer.LAUNCH, struct.pack('<14I', 1, 2, *[1] * 6, *[0] * 6)).status)

    def test_a_tensor_map_has_no_more_dimensions_than_there_is_room_for(self) -> None:
        session = self.start()
        for rank, status in ((0, INVALID_VALUE), (1, 0), (5, 0), (6, INVALID_VALUE), (2**32 - 1, INVALID_VALUE)):
            tensor = struct.pack('<10Q', BASE, *[64] * 9) + struct.pack('<18I', *[1] * 18) + struct.pack('<6I', rank, *[0] * 5)
            self.assertEqual(status, session.call(TENSOR_TILED, tensor).status)
        session.send(TENSOR_TILED, tensor[:-1], peer.WANT_REPLY)
        self.assert_ended(session)

    def test_a_module_that_does_not_compile_comes_with_the_log(self) -> None:
        session = self.start()
        answer = session.load(b'bad\0', 1)
        self.assertEqual(INVALID_PTX, answer.status)
        self.assertEqual(b'line 1: bad: not supported', answer.body[24:])

    def test_content_that_is_not_what_was_announced_ends_the_session(self) -> None:
        session = self.start()
        session.send(peer.MODULE_DATA, peer.module_call(PTX, 1, bytes(32)), peer.WANT_REPLY)
        session.send(peer.DATA, PTX)
        self.assert_ended(session)

    def test_linking_joins_inputs(self) -> None:
        session = self.start()
        session.send(peer.LINK_CREATE, struct.pack('<II', 1, 0))
        for part in (b'first\n', b'second\0'):
            sent = session.send(peer.LINK_ADD, struct.pack('<IIQII', 1, 1, len(part), 2, 0) + b'n\0', peer.WANT_REPLY)
            session.send(peer.DATA, part)
            self.assertEqual(0, session.reply(sent).status)
        answer = session.call(peer.LINK_COMPLETE, struct.pack('<II', 1, 0))
        self.assertEqual((0, b'first\nsecond\0'), (answer.status, answer.body[16:]))
        session.send(peer.LINK_DESTROY, struct.pack('<II', 1, 0))
        self.assertEqual(INVALID_HANDLE, session.call(peer.LINK_COMPLETE, struct.pack('<II', 1, 0)).status)


class TestEnd(worker_case.WorkerCase):
    """However it ends, the process ends."""

    def test_client_goes(self) -> None:
        session = self.start()
        session.connection.close()
        self.assertEqual(0, session.process.wait(20))

    def test_client_says_bye(self) -> None:
        session = self.start()
        session.send(peer.BYE)
        self.assert_ended(session)

    def test_agent_says_end(self) -> None:
        session = self.start()
        session.agent.send(peer.END, 0, 1)
        self.assertEqual(peer.BYE, session.frame()[0])
        self.assert_ended(session)

    def test_agent_dies_while_a_call_blocks(self) -> None:
        session = self.start()
        self.mode(session, BUSY | HANG)
        session.send(SYNCHRONIZE, b'', peer.WANT_REPLY)
        session.agent.send(peer.END, 0, 2)
        self.assert_ended(session)

    def test_client_goes_while_the_device_holds_the_stream_up(self) -> None:
        session = self.start()
        self.mode(session, BUSY | HANG)
        session.send(peer.BARRIER)
        session.connection.close()
        session.process.wait(20)

    def test_agent_goes_while_the_device_holds_the_stream_up(self) -> None:
        session = self.start()
        self.mode(session, BUSY | HANG)
        session.send(peer.BARRIER)
        session.agent.close()
        session.process.wait(20)

    def test_client_that_does_not_read_is_ended(self) -> None:
        session = self.start()
        session.lease(BASE, 16 * GRANULE, 32 * MIB)
        for _ in range(4):
            session.send(peer.COPY_OUT, struct.pack('<3Q', BASE, 32 * MIB, 0), peer.WANT_REPLY)
        session.agent.send(peer.END, 0, 1)
        self.assertEqual(0, session.process.wait(20))

    def test_usage_is_reported_at_the_end(self) -> None:
        session = self.start()
        session.lease(BASE, GRANULE, MIB)
        session.send(peer.BYE)
        self.assertEqual(MIB, session.agent.wait_for(peer.USAGE)[-1][2])


class TestSanitized(TestStream, TestMemory, TestCopies, TestOutput):
    """The same under ASan and UBSan."""

    sanitizer = 'asan'


class TestThreads(TestStream, TestMemory, TestCopies, TestOutput):
    """The same under TSan."""

    sanitizer = 'tsan'
