# SPDX-License-Identifier: Apache-2.0
"""What a driver takes by itself for a session's kernels is paid for from the slice, beyond what a context starts with."""

import struct
from typing import Final

from tests.functional import test_worker, worker_case
from tests.functional import worker_peer as peer
from tests.functional.worker_case import SET_LIMIT
from tests.functional.worker_peer import MIB

STACK, PRINTF, HEAP, SYNC_DEPTH, PENDING_LAUNCHES, PERSISTING_L2 = range(6)
LOCAL: Final = 32
#: Threads that the stub's device can hold: multiprocessors and threads of each, as the stub answers.
RESIDENT: Final = 160 * 390
#: What the device pays for, beside the slice.
FREE: Final = 32 * MIB


class Limits(worker_case.WorkerCase):
    sanitizer = 'asan'

    def set(self, session: peer.Session, limit: int, value: int) -> int:
        """Return what cuCtxSetLimit answers."""
        return session.call(SET_LIMIT, struct.pack('<iQ', limit, value)).status

    def charged(self, session: peer.Session) -> int:
        """Return bytes that the slice's ledger has not got, when the worker has done what it was told before."""
        free, total = struct.unpack('<QQ', session.call(peer.MEMINFO).body)
        return int(total - free)

    def test_heap_and_printf_buffer(self) -> None:
        for limit, initial in ((HEAP, 8 * MIB), (PRINTF, MIB)):
            with self.subTest(limit):
                session = self.start()
                self.assertEqual(0, self.set(session, limit, initial + FREE))
                self.assertEqual(0, self.charged(session))
                self.assertEqual(0, self.set(session, limit, initial + FREE + 100 * MIB))
                self.assertEqual(100 * MIB, self.charged(session))
                for value in (initial + FREE + 257 * MIB, 1 << 40, 2**64 - 1):
                    self.assertEqual(test_worker.OUT_OF_MEMORY, self.set(session, limit, value))
                self.assertEqual((initial + FREE + 100 * MIB, 100 * MIB), (self.limit(session, limit), self.charged(session)))
                self.assertEqual(0, self.set(session, limit, 16))
                self.assertEqual((16, 0), (self.limit(session, limit), self.charged(session)))

    def test_stacks_of_all_threads_that_the_device_holds(self) -> None:
        session = self.start()
        self.assertEqual(0, self.set(session, STACK, 2047))
        self.assertEqual(2048, self.limit(session, STACK), 'the driver has rounded it')
        self.assertEqual(1024 * RESIDENT - FREE, self.charged(session))
        self.assertEqual(test_worker.OUT_OF_MEMORY, self.set(session, STACK, 512 << 10))
        self.assertEqual(0, self.set(session, STACK, 1024))
        self.assertEqual(0, self.charged(session))

    def test_another_session_of_the_slice_has_the_rest(self) -> None:
        session = self.start()
        session.agent.free = 10 * MIB
        self.assertEqual(test_worker.OUT_OF_MEMORY, self.set(session, HEAP, 8 * MIB + FREE + 11 * MIB))
        self.assertEqual(0, self.set(session, HEAP, 8 * MIB + FREE + 10 * MIB))
        self.assertEqual(0, session.agent.free)

    def test_what_the_driver_refuses_is_not_paid_for(self) -> None:
        session = self.start()
        self.assertEqual(215, self.set(session, SYNC_DEPTH, 3))
        self.assertEqual(0, self.charged(session))
        self.assertEqual(test_worker.INVALID_VALUE, self.set(session, PERSISTING_L2, 1))
        self.assertEqual(test_worker.INVALID_VALUE, self.set(session, -1, 1))

    def test_launches_that_wait_on_the_device(self) -> None:
        session = self.start()
        self.assertEqual(0, self.set(session, PENDING_LAUNCHES, 2048 + 8192))
        self.assertEqual(64 * MIB - FREE, self.charged(session))

    def test_local_memory_of_kernels_that_are_loaded(self) -> None:
        session = self.start()
        variables = 2048
        due = (4096 - 1024) * RESIDENT - FREE + len(test_worker.PTX) - 1
        self.mode(session, LOCAL)
        self.assertEqual(0, session.load(test_worker.PTX, 1).status)
        self.assertEqual(due + variables, self.charged(session))
        self.assertEqual(0, session.load(test_worker.PTX, 2).status)
        due += len(test_worker.PTX) - 1
        self.assertEqual(due + 2 * variables, self.charged(session), 'there is one such memory')
        self.assertEqual(0, self.set(session, STACK, 2048))
        self.assertEqual(due + 2 * variables, self.charged(session), 'the next launch would need it again')
        session.send(peer.MODULE_UNLOAD, struct.pack('<II', 1, 0))
        session.send(peer.MODULE_UNLOAD, struct.pack('<II', 2, 0))
        self.assertEqual((4096 - 1024) * RESIDENT - FREE, self.charged(session), 'the driver keeps it')
        self.assertEqual(0, self.set(session, STACK, 2048))
        self.assertEqual(1024 * RESIDENT - FREE, self.charged(session))

    def test_kernels_that_need_more_local_memory_than_there_is(self) -> None:
        session = self.start(limit=96 * MIB)
        self.mode(session, LOCAL)
        self.assertEqual(test_worker.OUT_OF_MEMORY, session.load(test_worker.PTX, 1).status)
        self.assertEqual(0, self.charged(session))
        self.mode(session, 0)
        self.assertEqual(0, session.load(test_worker.PTX, 1).status)
