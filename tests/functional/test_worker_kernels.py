# SPDX-License-Identifier: Apache-2.0
"""Kernels of a large module: a driver loads what it is asked about, so it is asked when the program uses one."""

import struct
from typing import Final

from tests.functional import test_worker, worker_case
from tests.functional import worker_peer as peer
from tests.functional.worker_peer import MIB

QUESTIONS: Final = 0x58
LOCAL: Final = 32
LATER: Final = 2**32 - 2
UNKNOWN: Final = -2**31
EMPTY, STORE = range(2)
MANY: Final = b'// many\n\0'


class Kernels(worker_case.WorkerCase):
    sanitizer = 'asan'

    def load(self, session: peer.Session, image: bytes = MANY, flags: int = 3) -> list[tuple[int, bytes]]:
        """Return the number of parameters and the name of each kernel in the module's table."""
        answer = session.load(image, 1, flags=flags)
        self.assertEqual(0, answer.status)
        found = []
        at = 24
        for _ in range(struct.unpack_from('<I', answer.body, 4)[0]):
            length, count, first = struct.unpack_from('<IIi', answer.body, at)
            self.assertEqual(count == LATER, first == UNKNOWN)
            at += 72 + 8 * (0 if count == LATER else count) + length
            found.append((count, answer.body[at - length:at - 1]))
        return found

    def ask(self, session: peer.Session, kernel: int, module: int = 1) -> peer.Answer:
        return session.call(peer.KERNEL, struct.pack('<II', module, kernel))

    def launch(self, session: peer.Session, kernel: int, parameters: int) -> int:
        return session.call(peer.LAUNCH, struct.pack('<14I', 1, kernel, *[1] * 6, 0, 0, parameters, 0, 0, 0)
                            + bytes(parameters)).status

    def questions(self, session: peer.Session) -> int:
        """Return how often the driver was asked for attributes."""
        return self.limit(session, QUESTIONS)

    def test_kernels_are_told_when_they_are_asked_for(self) -> None:
        session = self.start()
        table = self.load(session)
        self.assertEqual([(LATER, b'empty'), (LATER, b'store')], table[:2])
        self.assertEqual({(LATER, b'')}, set(table[2:]))
        self.assertEqual((40, 0), (len(table), self.questions(session)))
        self.assertEqual(test_worker.INVALID_HANDLE, self.launch(session, STORE, 16), 'nobody has asked for it')
        for _ in range(2):
            answer = self.ask(session, STORE)
            self.assertEqual(0, answer.status)
            self.assertEqual((0, 2, 1, 2), struct.unpack_from('<IIii', answer.body))
            self.assertEqual((0, 8, 8, 8), struct.unpack('<4I', answer.body[72:]))
        self.assertEqual(32, self.questions(session))
        self.assertEqual([1, 0], [self.launch(session, STORE, size) for size in (15, 16)])
        self.assertEqual(test_worker.INVALID_HANDLE, self.launch(session, EMPTY, 0))

    def test_small_modules_and_older_clients_are_told_at_once(self) -> None:
        self.assertEqual([(0, b'empty'), (2, b'store')], self.load(self.start(), test_worker.PTX))
        session = self.start()
        self.assertEqual([(0, b'empty'), (2, b'store'), (0, b'')], self.load(session, flags=1)[:3])
        self.assertEqual(0, self.launch(session, STORE, 16))

    def test_local_memory_is_paid_for_when_a_kernel_is_asked_for(self) -> None:
        due = (4096 - 1024) * 160 * 390 - 32 * MIB + len(MANY) - 1
        session = self.start()
        self.mode(session, LOCAL)
        self.load(session)
        self.assertEqual(session.limit, session.agent.free)
        session.agent.free = due - 1
        self.assertEqual(test_worker.OUT_OF_MEMORY, self.ask(session, EMPTY).status)
        self.assertEqual(test_worker.INVALID_HANDLE, self.launch(session, EMPTY, 0))
        session.agent.free = due + 1
        self.assertEqual([0, 0], [self.ask(session, kernel).status for kernel in (EMPTY, STORE)])
        self.assertEqual(1, session.agent.free)
        self.assertEqual(0, self.launch(session, EMPTY, 0))

    def test_a_module_that_is_unloaded_right_after_a_question_is_free(self) -> None:
        session = self.start()
        for number in range(20):
            self.load(session, test_worker.PTX)
            self.ask(session, number % 2)
            session.send(peer.MODULE_UNLOAD, struct.pack('<II', 1, 0))
            self.assertEqual(session.limit, struct.unpack('<QQ', session.call(peer.MEMINFO).body)[0])
        self.load(session)
        sent = session.send(peer.KERNEL, struct.pack('<II', 1, 39), peer.WANT_REPLY)
        session.send(peer.MODULE_UNLOAD, struct.pack('<II', 1, 0))
        self.assertEqual(0, session.reply(sent).status)

    def test_kernels_that_are_not_there(self) -> None:
        session = self.start()
        self.load(session)
        for kernel, module in ((40, 1), (2**32 - 1, 1), (0, 2)):
            self.assertEqual(test_worker.INVALID_HANDLE, self.ask(session, kernel, module).status)
        session.send(peer.KERNEL, bytes(12), peer.WANT_REPLY)
        self.assert_ended(session)


class Threads(Kernels):
    """The same under TSan."""

    sanitizer = 'tsan'
