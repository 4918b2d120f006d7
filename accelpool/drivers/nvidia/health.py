# SPDX-License-Identifier: Apache-2.0
"""How a device is: its ailments, what cures them, and what that means for the pool.  Pure.

An ailment is what an XID or an ECC event left behind.  It stays until the action that its class asks for has been
seen to be done; whatever NVML shows at present (a lost GPU, a failed row remapping, ...) needs no memory.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, Self

from accelpool.drivers.nvidia import xid
from accelpool.drivers.nvidia.xid import ADVICE, Action
from accelpool.types import Health

#: NVML_GPU_RECOVERY_ACTION_...: what the driver itself asks for; 6 is a reset with its PCIe bus.
RECOVERY = {
    1: (Health.FAILED, ADVICE[Action.RESET_GPU]),
    2: (Health.FAILED, ADVICE[Action.RESTART_HOST]),
    3: (Health.DEGRADED, 'end the programs on it that reach other GPUs directly (peer-to-peer); then it tells what '
        'else is needed, if anything'),
    4: (Health.DEGRADED, 'it works with less than it has, and what runs may finish; then ' + ADVICE[Action.RESET_GPU]),
    5: (Health.DEGRADED, 'recover its IMEX domain (nvidia-imex)'),
    6: (Health.FAILED, ADVICE[Action.RESET_GPU]),
    7: (Health.FAILED, ADVICE[Action.RESTART_HOST])}

#: A device with such an ailment does not work; with another one it works but takes nothing new.
BROKEN = {Action.RESET_GPU, Action.RESTART_HOST}

#: Ailments that are remembered of one device; more say nothing new.
MOST = 8


@dataclasses.dataclass(frozen=True)
class Look:
    """What was seen of a device."""

    boot: str                                  # the host's boot id
    energy: int | None = None                  # mJ since the driver was loaded (NVML); should fall at a reset, too
    recovery: int | None = None                # None: the driver does not know of it
    ecc: int | None = None                     # uncorrectable errors since the GPU was initialised
    processes: frozenset[int] = frozenset()    # of everybody
    instances: Mapping[int, frozenset[int]] = dataclasses.field(default_factory=dict)  # these by their MIG instances
    foreign: tuple[int, ...] = ()              # processes that are not the pool's
    remap_failure: bool = False
    mig_pending: bool = False
    hung: str | None = None                    # a call about its MIG instances that did not return
    rested: bool = False                       # nothing had it open: an instance had it, or it could be reset


@dataclasses.dataclass(frozen=True)
class Ailment:
    """Something that happened, and how the device looked then."""

    what: str
    action: str
    boot: str
    energy: int | None
    recovery: int | None
    processes: tuple[int, ...]                 # one of them is the cause, if it lived long enough to be seen

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        return cls(**{**data, 'processes': tuple(data['processes'])})


def contracted(events: Iterable[dict[str, Any]], look: Look, before: Look | None = None) -> list[Ailment]:
    """Return the ailments that events bring; those that may be ignored bring none.

    :param before: the look before; what caused an event may have ended since then
    """
    found = []
    for event in events:
        if event['kind'] == 'xid':
            action, what = xid.action(event['data']), xid.describe(event['data'])
        else:
            # From Ampere on most are contained, and a driver that knows of recovery asks for a reset where it needs one
            # (NVIDIA GPU Memory Error Management, "Error Recovery and Response Flags").
            action = Action.RESET_GPU if look.recovery is None else Action.RESTART_APPLICATION
            what = 'uncorrectable memory error'
        if event.get('instance') is not None:
            what += f' in MIG instance {event["instance"]}'
        if action != Action.IGNORE:
            there = _within(event.get('instance'), look) | (_within(event.get('instance'), before) if before else set())
            found.append(Ailment(what, action, look.boot, look.energy, look.recovery, tuple(sorted(there))))
    return found


def _within(instance: int | None, look: Look) -> Set[int]:
    """Return the processes of a MIG instance; all of them where NVML does not tell which are in one."""
    return look.processes if instance is None or not look.instances else look.instances.get(instance, frozenset())


def missed(before: int | None, look: Look) -> list[Ailment]:
    """Return the ailment of a device of which nobody heard for a while: an event is told only to who listens then.

    What the driver asks for (570 and later) is still to be seen; before that there is the counter of memory errors.

    :param before: uncorrectable errors when it was last seen, None: never, or it does not count
    """
    if look.recovery is not None or before is None or look.ecc is None or look.ecc <= before:
        return []
    return [Ailment('uncorrectable memory error while the conductor did not run', Action.RESET_GPU, look.boot,
                    look.energy, look.recovery, tuple(sorted(look.processes)))]


def cured(ailment: Ailment, look: Look) -> bool:
    """Return whether the action that an ailment asks for has been taken.

    An event does not say which process caused it.  When one that was there has ended it may have been that one: all of
    them would be waited for in vain where tenants share a device.  Who has had a device rest and lets it be used again
    says that it was reset.
    """
    if look.boot != ailment.boot:
        return True
    reset = (ailment.energy is not None and look.energy is not None and look.energy < ailment.energy) \
        or bool(ailment.recovery and look.recovery == 0) or look.rested
    match ailment.action:
        case Action.RESTART_HOST:
            return False
        case Action.RESTART_APPLICATION:
            return reset or not ailment.processes or not look.processes.issuperset(ailment.processes)
        case _:
            return reset


def followed(ailments: Iterable[Ailment], look: Look) -> list[Ailment]:
    """Return what still ails a device.

    A driver may ask for a recovery only some time after the event (open-gpu-kernel-modules: deferred work), so what it
    asks for since counts as what it asked for then.
    """
    return [dataclasses.replace(one, recovery=look.recovery or one.recovery)
            for one in ailments if not cured(one, look)]


def merged(known: Sequence[Ailment], fresh: Iterable[Ailment]) -> list[Ailment]:
    """Return all ailments, each kind once: the newest, for that is the one to be cured."""
    by_kind = {ailment.what: ailment for ailment in known}
    by_kind.update({ailment.what: ailment for ailment in fresh})
    return list(by_kind.values())[-MOST:]


def verdict(ailments: Sequence[Ailment], look: Look) -> tuple[Health, str | None]:
    """Return how the device is, and for the operator why and what to do."""
    reasons: list[tuple[Health, str]] = [
        (Health.FAILED if ailment.action in BROKEN else Health.DEGRADED,
         f'{ailment.what}: {ADVICE[Action(ailment.action)]}') for ailment in ailments]
    if look.recovery in RECOVERY:
        degree, advice = RECOVERY[look.recovery]
        reasons.append((degree, f'its driver asks for recovery: {advice}'))
    if look.remap_failure:
        reasons.append((Health.FAILED, 'a faulty memory row could not be remapped: replace the GPU'))
    if look.mig_pending:
        reasons.append((Health.DEGRADED, 'a change of its MIG mode is pending: ' + ADVICE[Action.RESET_GPU]))
    if look.hung:
        reasons.append((Health.FAILED, f'{look.hung}: look at the log of the kernel (dmesg, lines with NVRM), and if '
                        f'it goes on {ADVICE[Action.RESET_GPU]}'))
    if look.foreign:
        named = ', '.join(str(pid) for pid in look.foreign[:4])
        reasons.append((Health.DEGRADED,
                        f'used by processes outside the pool ({named}): end them, or disable the device'))
    if not reasons:
        return Health.OK, None
    worst = Health.FAILED if any(health == Health.FAILED for health, _ in reasons) else Health.DEGRADED
    return worst, '; '.join(text for health, text in reasons if health == worst)[:255]
