# SPDX-License-Identifier: Apache-2.0
"""Who may use a device now: deficit round-robin by device time over a short window, for one device.

Decisions only: events and the time go in, instructions come out.  Times are nanoseconds of any one clock.

Each slice has a *tally*: the device time that it used, divided by its share.  Whoever has the smallest tally has
the next turn, so that over a window the slices that compete get device time in proportion to their shares.  A slice
that comes back from a pause is moved up to the tally of those who worked meanwhile (less one window, when the pause
was short), so nobody can claim the past.  Time that a slice used while nobody else wanted the device costs nothing: it
keeps the grant for as long as it is alone, unless its profile is ``strict``.  A strict slice also spends an allowance
that grows with the wall clock by its share.

A holder that cannot be preempted (one long kernel on real hardware) stays until it yields; its tally then says how
long the others have precedence.
"""

import dataclasses

MS = 1_000_000
#: Over which span shares hold.
WINDOW_NS = 100 * MS
#: One turn.  Short against the window, long against a change of the holder (about 0.2 ms on one core).
TURN_NS = 10 * MS
#: A strict slice is not woken for less, and a holder whose competitor is not ahead of it goes on for this long.
LEAST_TURN_NS = 1 * MS
#: The budget of a holder without competitors: in effect none.
ALONE_NS = 1_000_000_000 * MS
#: A slice whose program usually comes back within this time after a wait is waited for; the device idles meanwhile.
THINK_NS = 2 * MS
#: What a session reports beyond the time that has passed is a lie, but for what clocks and packets blur.
BLUR_NS = 10 * MS
#: While others wait for it, holding the device costs at least this part of the time that passes: who reports too little
#: gains little, and who shares the processor with others loses nothing.
HELD_COSTS = 1 / 8
#: A pause up to this long leaves a slice its claim to the window.
LINGER_NS = 10 * MS


@dataclasses.dataclass(frozen=True)
class Grant:
    """The session may use the device; after a REVOKE until ``budget`` ns are used."""

    session: int
    budget: int


@dataclasses.dataclass(frozen=True)
class Revoke:
    """The session must yield when its budget is used or it has nothing to do."""

    session: int


Instruction = Grant | Revoke


@dataclasses.dataclass
class _Share:
    """One slice on this device."""

    share: int                        # percent points
    strict: bool
    tally: float = 0.0                # ns of device time per percent point
    allowance: float = 0.0            # strict only: ns that it may use now
    used: int = 0                     # ns of device time since the beginning
    refilled: int = 0                 # when the allowance was computed
    idle_since: int | None = None     # None: it holds or wants the device
    thinks_long: bool = True          # its last pause was longer than THINK_NS
    wants: list[int] = dataclasses.field(default_factory=list)  # sessions in the order of their wish

    def may_run(self, now: int) -> bool:
        """Whether the allowance of a strict slice is worth a turn."""
        if not self.strict:
            return True
        bound = self.share * WINDOW_NS / 100
        self.allowance = min(bound, self.allowance + (now - self.refilled) * self.share / 100)
        self.refilled = now
        return self.allowance >= LEAST_TURN_NS

    def may_run_at(self) -> int:
        """When :meth:`may_run` becomes true (strict only)."""
        return self.refilled + int(max(0.0, LEAST_TURN_NS - self.allowance) * 100 / self.share) + 1


class Arbiter:
    """The grant of one device."""

    def __init__(self) -> None:
        self.grants = 0               # how many turns there were
        self.busy_ns = 0              # device time that was reported
        self._shares: dict[str, _Share] = {}
        self._slice_of: dict[int, str] = {}
        self._level = 0.0             # smallest tally of those who want the device; never falls
        self._holder: int | None = None
        self._reported = 0            # when the holder last reported, or got the device
        self._contested_since: int | None = None  # since when others want what the holder has
        self._revoked = False
        self._awaited: str | None = None          # the slice whose next wish is worth a pause of the device
        self._awaited_until = 0

    @property
    def holder(self) -> int | None:
        return self._holder

    def add_slice(self, slice_id: str, share: int, strict: bool, now: int) -> None:
        """Make a slice known, or change its share."""
        known = self._shares.get(slice_id)
        if known is None:
            self._shares[slice_id] = _Share(share, strict, tally=self._level, refilled=now, idle_since=now,
                                            allowance=share * WINDOW_NS / 100)
        else:
            known.may_run(now)
            known.share, known.strict = share, strict

    def remove_slice(self, slice_id: str) -> None:
        """Forget a slice; its sessions have left."""
        self._shares.pop(slice_id, None)

    def used(self, slice_id: str) -> int:
        """Return the device time that a slice has been charged, ns."""
        return self._shares[slice_id].used

    def join(self, session: int, slice_id: str) -> None:
        """A session begins."""
        self._slice_of[session] = slice_id

    def leave(self, session: int, now: int) -> list[Instruction]:
        """A session is over; a grant that it held is free."""
        share = self._shares[self._slice_of.pop(session)]
        if session in share.wants:
            share.wants.remove(session)
        if session == self._holder:
            self._holder = None
        self._rest(share, now)
        return self._next(now)

    def want(self, session: int, now: int) -> list[Instruction]:
        """A session has work and no grant."""
        share = self._shares[self._slice_of[session]]
        if session == self._holder or session in share.wants:
            return []
        if share.idle_since is not None:
            self._resume(share, now - share.idle_since)
        share.wants.append(session)
        return self._next(now)

    def use(self, session: int, used: int, now: int) -> list[Instruction]:
        """A session reports device time of the turn that goes on."""
        self._charge(session, used, now)
        return self._next(now)

    def give(self, session: int, used: int, more: bool, now: int) -> list[Instruction]:
        """A session gives the grant back; ``more``: it still has work."""
        self._charge(session, used, now)
        if session != self._holder:
            return []
        slice_id = self._slice_of[session]
        share = self._shares[slice_id]
        self._holder = None
        if more:
            share.wants.append(session)
        self._rest(share, now)
        if share.idle_since is not None and not share.thinks_long and share.tally <= self._smallest_wish(now):
            self._awaited, self._awaited_until = slice_id, now + THINK_NS
        return self._next(now)

    def tick(self, now: int) -> list[Instruction]:
        """Do what became due; call it at :meth:`deadline`."""
        return self._next(now)

    def deadline(self) -> int | None:
        """When :meth:`tick` has something to do although nothing happens, or None."""
        if (self._holder is not None and self._revoked) or not any(s.wants for s in self._shares.values()):
            return None
        due = [s.may_run_at() for s in self._shares.values()
               if s.wants and s.strict and s.allowance < LEAST_TURN_NS]
        if self._awaited is not None:
            due.append(self._awaited_until)
        return min(due, default=None)

    def _rest(self, share: _Share, now: int) -> None:
        """Note when a slice stopped to want anything."""
        holds = self._holder is not None and self._shares[self._slice_of[self._holder]] is share
        if not share.wants and not holds and share.idle_since is None:
            share.idle_since = now

    def _resume(self, share: _Share, pause: int) -> None:
        """A slice wants the device again after a pause."""
        share.idle_since = None
        share.thinks_long = pause > THINK_NS
        # Debt shrinks as the share would have paid it; credit is worth a window, and nothing after a long pause.
        share.tally = min(share.tally, self._level + max(0.0, share.tally - self._level - pause / 100))
        share.tally = max(share.tally, self._level - (WINDOW_NS / 100 if pause <= LINGER_NS else 0))

    def _charge(self, session: int, used: int, now: int) -> None:
        """Charge what a session reports, within what can be."""
        holds = session == self._holder
        used = min(used, BLUR_NS + (now - self._reported if holds else 0))
        if holds and self._contested_since is not None:
            used = max(used, int((now - max(self._reported, self._contested_since)) * HELD_COSTS))
        if holds:
            self._reported = now
        self.busy_ns += used
        share = self._shares[self._slice_of[session]]
        share.used += used
        share.allowance -= used
        share.may_run(now)
        fair = used
        if holds and self._contested_since is not None:
            fair = min(used, max(0, now - self._contested_since))
        share.tally += fair / share.share

    def _smallest_wish(self, now: int) -> float:
        return min((s.tally for s in self._shares.values() if s.wants and s.may_run(now)), default=float('inf'))

    def _next(self, now: int) -> list[Instruction]:
        active = [s for s in self._shares.values() if s.idle_since is None and (not s.wants or s.may_run(now))]
        if active:
            self._level = max(self._level, min(s.tally for s in active))
        if self._holder is not None:
            return self._contest(now)
        awaited = self._shares.get(self._awaited) if self._awaited is not None else None
        if awaited is not None and not awaited.wants and now < self._awaited_until:
            return []
        self._awaited = None
        waiting = [(s.tally, slice_id) for slice_id, s in self._shares.items() if s.wants and s.may_run(now)]
        return self._grant(min(waiting)[1], now) if waiting else []

    def _contest(self, now: int) -> list[Instruction]:
        """Somebody holds the device: revoke it when somebody else wants it."""
        assert self._holder is not None
        smallest = self._smallest_wish(now)
        if self._revoked or smallest == float('inf'):
            return []
        self._revoked, self._contested_since = True, now
        behind = smallest <= self._shares[self._slice_of[self._holder]].tally
        return [Grant(self._holder, LEAST_TURN_NS if behind else TURN_NS), Revoke(self._holder)]

    def _grant(self, slice_id: str, now: int) -> list[Instruction]:
        share = self._shares[slice_id]
        session = self._holder = share.wants.pop(0)
        self._reported = now
        self.grants += 1
        # A strict slice that lagged behind its allowance has no claim to what others used meanwhile.
        share.tally = max(share.tally, self._level - WINDOW_NS / 100)
        contested = self._smallest_wish(now) < float('inf')
        self._revoked = contested or share.strict
        self._contested_since = now if contested else None
        if not self._revoked:
            return [Grant(session, ALONE_NS)]
        return [Grant(session, int(min(TURN_NS, share.allowance)) if share.strict else TURN_NS), Revoke(session)]
