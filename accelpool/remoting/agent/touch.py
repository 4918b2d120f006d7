# SPDX-License-Identifier: Apache-2.0
"""The account of host memory that emulated devices really touch: decisions only.

A session asks for an allowance before it writes to fresh pages, and gives back what it has no use for.
"""


class Broken(Exception):
    """A session did what no sound worker does; it must end."""


class TouchAccount:
    """One for all sessions of this host; sizes are bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._allowed: dict[int, int] = {}

    @property
    def total(self) -> int:
        return sum(self._allowed.values())

    def join(self, session: int) -> None:
        self._allowed[session] = 0

    def allow(self, session: int, need: int, extra: int) -> int:
        """Return ``need`` and up to ``extra`` more, or 0: the host has no more to spare.

        :raises Broken: a question that asks for nothing
        """
        if need <= 0:
            raise Broken('an allowance of no bytes')
        free = self.limit - self.total
        if need > free:
            return 0
        allowed = min(need + extra, free)
        self._allowed[session] += allowed
        return allowed

    def give_back(self, session: int, size: int) -> None:
        """:raises Broken: more than it was allowed"""
        if size > self._allowed[session]:
            raise Broken(f'{size} bytes given back of {self._allowed[session]}')
        self._allowed[session] -= size

    def leave(self, session: int) -> None:
        """A session is over: its pages are gone."""
        self._allowed.pop(session, None)
