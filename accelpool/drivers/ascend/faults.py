# SPDX-License-Identifier: Apache-2.0
"""What a chip's error codes mean for the pool: ``faults.yaml`` as functions.  Pure."""

import enum
import functools
import pathlib
from collections.abc import Sequence

import yaml

from accelpool.types import Health


class Action(enum.StrEnum):
    """The vendor's levels, from harmless to grave."""

    IGNORE = 'ignore'
    SUB_HEALTH = 'sub-health'
    RESTART_REQUEST = 'restart-request'
    RESTART_APPLICATION = 'restart-application'
    RESET_WHEN_IDLE = 'reset-when-idle'
    DRAIN = 'drain'
    RESET = 'reset'
    ISOLATE = 'isolate'


#: What an operator is told to do.
ADVICE = {
    Action.SUB_HEALTH: 'it is slower than it should be; npu-smi info -t health tells more',
    Action.RESTART_REQUEST: 'what was under way has failed: the programs that use it have to repeat it',
    Action.RESTART_APPLICATION: 'restart the programs that use it',
    Action.RESET_WHEN_IDLE: 'reset it (npu-smi set -t reset) when no program uses it',
    Action.DRAIN: 'it is about to fail: move the programs that use it, then take it out',
    Action.RESET: 'end the programs on it and reset it (npu-smi set -t reset)',
    Action.ISOLATE: 'contact the vendor: a reset does not mend it',
}
#: After these a chip does not work; after the others but IGNORE it works and takes nothing new.
BROKEN = frozenset({Action.RESET, Action.ISOLATE})
_GRAVITY = list(Action)


@functools.cache
def actions() -> dict[str, Action]:
    """Return every code of the vendor's list, as DCMI's eight hexadecimal digits, with its action."""
    table = yaml.safe_load(pathlib.Path(__file__).with_name('faults.yaml').read_text())
    return {code: Action(action) for action, codes in table.items() for code in codes}


def verdict(codes: Sequence[str]) -> tuple[Health, str | None] | None:
    """Return how a chip with these error codes is and what to do; None when the list knows none of them.

    Codes that the list does not know count for nothing beside some that it knows: DCMI's own word of the chip's health
    is asked for those.
    """
    known = {code: actions()[code] for code in codes if code in actions()}
    if not known:
        return None
    worst = max(known.values(), key=_GRAVITY.index)
    if worst == Action.IGNORE:
        return Health.OK, None
    named = ', '.join(code for code, action in known.items() if action == worst)
    return Health.FAILED if worst in BROKEN else Health.DEGRADED, f'{named}: {ADVICE[worst]}'
