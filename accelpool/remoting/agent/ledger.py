# SPDX-License-Identifier: Apache-2.0
"""The memory ledger of one slice, shared by all its sessions: decisions only, no I/O, no clock of its own.

A session reserves bytes before it uses them.  When they are not there, the other sessions are asked for what they
have reserved and do not use (RECALL), and the question waits: until enough came back, until every one of them has
answered, or until the deadline.  Questions are answered in the order in which they came.

One session's context is charged to the device, beside the slice.  Those of further sessions are the slice's own affair:
they take of its memory, or a small slice with many sessions would take the memory of others.

Times are nanoseconds of any one clock; sizes are bytes.  Every method returns what is to be sent.
"""

import collections
import dataclasses

#: How long a question waits for unused bytes of other sessions (the contract with the workers).
RECALL_NS = 1_000_000_000


class ProtocolError(Exception):
    """A session did what no sound worker does; it must end."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer to a RESERVE: ``granted`` bytes in all, 0 = out of memory."""

    session: int
    question: int
    granted: int


@dataclasses.dataclass(frozen=True)
class Recall:
    """Ask a session's client for unused bytes."""

    session: int
    wanted: int


Action = Answer | Recall


@dataclasses.dataclass
class _Question:
    session: int
    question: int
    need: int
    extra: int
    deadline: int
    asked: set[int]      # sessions whose answer to the recall is still due


class Ledger:
    """Accounts of one slice."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.peak = 0
        self._reserved: dict[int, int] = {}
        self._contexts: dict[int, int] = {}  # what the slice pays for a session's context; 0: the device does
        self._waiting: collections.deque[_Question] = collections.deque()

    @property
    def reserved(self) -> int:
        """Bytes that sessions hold, with their contexts."""
        return sum(self._reserved.values()) + sum(self._contexts.values())

    @property
    def free(self) -> int:
        """Bytes that nobody holds; never negative, also after the limit was lowered."""
        return max(0, self.limit - self.reserved)

    @property
    def deadline(self) -> int | None:
        """When :meth:`expire` has something to do next, or None."""
        return self._waiting[0].deadline if self._waiting else None

    def held_by(self, session: int) -> int:
        return self._reserved[session]

    def join(self, session: int, context: int = 0) -> bool:
        """A session begins, unless there is no memory for its context; returns whether it does.

        :param context: what it takes
        """
        due = context if 0 in self._contexts.values() else 0
        if due > self.free:
            return False
        self._reserved[session], self._contexts[session] = 0, due
        self.peak = max(self.peak, self.reserved)
        return True

    def reserve(self, session: int, question: int, need: int, extra: int, now: int) -> list[Action]:
        """A session wants ``need`` bytes, and up to ``extra`` more when they are free anyway.

        :raises ProtocolError: a question that asks for nothing
        """
        if need <= 0:
            raise ProtocolError('a reservation of no bytes')
        entry = _Question(session, question, need, extra, now + RECALL_NS, set())
        if not self._waiting and need <= self.free:
            return [self._grant(entry, extra)]
        others = {s for s, held in self._reserved.items() if s != session and held}
        missing = need - self.free
        if need > self.limit - self._reserved[session] - sum(self._contexts.values()) or not others:
            return [Answer(session, question, 0)]  # no recall can help
        entry.asked = others
        self._waiting.append(entry)
        return [Recall(other, max(missing, need)) for other in sorted(others)]

    def release(self, session: int, size: int, recalled: bool) -> list[Action]:
        """A session gives bytes back; ``recalled``: this is all that its client had unused.

        :raises ProtocolError: more than it holds
        """
        if size > self._reserved[session]:
            raise ProtocolError(f'{size} bytes given back of {self._reserved[session]}')
        self._reserved[session] -= size
        if recalled:
            self._forget_asked(session)
        return self._serve()

    def leave(self, session: int) -> list[Action]:
        """A session is over: whatever it held is free."""
        del self._reserved[session]
        if self._contexts.pop(session) == 0 and self._contexts:
            self._contexts[min(self._contexts)] = 0  # the device pays for another one now
        self._waiting = collections.deque(q for q in self._waiting if q.session != session)
        self._forget_asked(session)
        return self._serve()

    def resize(self, limit: int) -> list[Action]:
        """The slice has another size from now on."""
        self.limit = limit
        return self._serve()

    def expire(self, now: int) -> list[Action]:
        """Answer the questions whose time is up."""
        for question in self._waiting:
            if question.deadline <= now:
                question.asked.clear()
        return self._serve()

    def _grant(self, question: _Question, extra: int) -> Answer:
        granted = question.need + max(0, min(extra, self.free - question.need))
        self._reserved[question.session] += granted
        self.peak = max(self.peak, self.reserved)
        return Answer(question.session, question.question, granted)

    def _forget_asked(self, session: int) -> None:
        for question in self._waiting:
            question.asked.discard(session)

    def _serve(self) -> list[Action]:
        """Answer from the front: what fits, and what nobody can help any more."""
        actions: list[Action] = []
        while self._waiting:
            first = self._waiting[0]
            if first.need <= self.free:
                # Others wait too, or had to give: nothing beyond the need.
                actions.append(self._grant(first, 0))
            elif not first.asked:
                actions.append(Answer(first.session, first.question, 0))
            else:
                break
            self._waiting.popleft()
        return actions
