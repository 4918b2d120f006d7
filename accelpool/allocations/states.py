# SPDX-License-Identifier: Apache-2.0
"""The life of an allocation: states, events, and which event leads where.  Pure.

``python -m accelpool.allocations.states`` prints the diagram of the documentation (Graphviz).
"""

import enum

from accelpool import errors


class State(enum.StrEnum):
    """States of an allocation."""

    PENDING = 'pending'        # asked for; no device chosen
    SCHEDULED = 'scheduled'    # claimed in the database; its conductors are asked to bind
    BINDING = 'binding'        # a conductor is carving its slices
    ACTIVE = 'active'          # usable
    SUSPENDED = 'suspended'    # its sessions stand still, its slices are kept
    RESIZING = 'resizing'      # its shares are being changed
    MIGRATING = 'migrating'    # its slices are moving to other devices
    ERROR = 'error'            # cannot become active; holds what has not been released yet
    RELEASING = 'releasing'    # its conductors are asked to give everything back
    RELEASED = 'released'      # holds nothing; final


class Event(enum.StrEnum):
    """What can happen to an allocation."""

    CREATE = 'create'
    CLAIM = 'claim'            # the scheduler has claimed slices
    BIND = 'bind'              # the first conductor starts to carve
    ACTIVATE = 'activate'      # the last slice is bound
    FAIL = 'fail'              # no candidate, or a conductor cannot bind
    RELEASE = 'release'        # the owner, the time to live or the end of its holder
    FINISH = 'finish'          # the last slice has been given back
    SUSPEND = 'suspend'
    RESUME = 'resume'
    RESIZE = 'resize'
    MIGRATE = 'migrate'
    SETTLE = 'settle'          # a resize or a migration is done
    DEVICE = 'device'          # the health of one of its devices has changed; its state has not


S, E = State, Event

#: (state, event) -> next state.  What is not here cannot happen.
TRANSITIONS: dict[tuple[State, Event], State] = {
    (S.PENDING, E.CLAIM): S.SCHEDULED,
    (S.PENDING, E.FAIL): S.ERROR,
    (S.SCHEDULED, E.BIND): S.BINDING,
    (S.SCHEDULED, E.FAIL): S.ERROR,
    (S.BINDING, E.ACTIVATE): S.ACTIVE,
    (S.BINDING, E.FAIL): S.ERROR,
    (S.ACTIVE, E.SUSPEND): S.SUSPENDED,
    (S.ACTIVE, E.RESIZE): S.RESIZING,
    (S.ACTIVE, E.MIGRATE): S.MIGRATING,
    (S.ACTIVE, E.FAIL): S.ERROR,
    (S.SUSPENDED, E.RESUME): S.ACTIVE,
    (S.SUSPENDED, E.FAIL): S.ERROR,
    (S.RESIZING, E.SETTLE): S.ACTIVE,
    (S.RESIZING, E.FAIL): S.ERROR,
    (S.MIGRATING, E.SETTLE): S.ACTIVE,
    (S.MIGRATING, E.FAIL): S.ERROR,
    **{(state, E.RELEASE): S.RELEASING
       for state in S if state not in {S.RELEASING, S.RELEASED}},
    (S.RELEASING, E.FINISH): S.RELEASED,
}

#: States in which an allocation may hold slices.
HOLDING = frozenset(S) - {S.PENDING, S.RELEASED}
#: States in which an allocation may still be used, or may come to be.
LIVE = frozenset(S) - {S.RELEASING, S.RELEASED}
#: States from which nothing leads anywhere.
FINAL = frozenset(s for s in S if not any(start == s for start, _ in TRANSITIONS))


def next_state(state: State, event: Event) -> State:
    """Return where ``event`` leads.

    :raises StateConflict: it cannot happen in this state
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise errors.StateConflict(f'An allocation that is {state} cannot {event}') from None


def diagram() -> str:
    """Return the transition table as a Graphviz graph."""
    lines = ['digraph allocation {', '    rankdir=LR; node [shape=box, style=rounded, fontname=sans];',
             '    edge [fontname=sans, fontsize=10];', '    start [shape=point]; start -> pending [label=create];']
    merged: dict[tuple[State, State], list[str]] = {}
    for (state, event), target in TRANSITIONS.items():
        merged.setdefault((state, target), []).append(event)
    lines += [f'    {state} [peripheries=2];' for state in sorted(FINAL)]
    lines += [f'    {state} -> {target} [label="{", ".join(events)}"];'
              for (state, target), events in merged.items()]
    return '\n'.join([*lines, '}', ''])


if __name__ == '__main__':
    print(diagram(), end='')
