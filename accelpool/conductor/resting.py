# SPDX-License-Identifier: Apache-2.0
"""Which devices a host's drivers have to let go of, because somebody else needs them for himself.  Pure.

What somebody has open can neither be detached from the host's driver, as libvirt does for a guest that gets it, nor be
reset, nor can its driver be unloaded.
"""

import dataclasses
from collections.abc import Iterable, Mapping

from accelpool.placement.providers import same_host
from accelpool.types import Isolation


@dataclasses.dataclass(frozen=True)
class Holding:
    """A device of the host with one of its slices; without one: it carries none."""

    device_id: str
    enabled: bool
    slice_id: str | None = None
    isolation: str | None = None
    handle: bool = False              # it is given to an instance by a handle, not by an agent
    compute: str | None = None        # the host of the instance that has it, as Nova calls it


def resting(host: str, holdings: Iterable[Holding], sessions: Mapping[str, int] | None) -> frozenset[str]:
    """Return the devices that an instance has as a whole, and the disabled ones that nobody uses.

    :param sessions: how many a slice has, by its id; None: the agent does not tell
    """
    found: dict[str, bool] = {}
    for one in holdings:
        whole = one.isolation == Isolation.WHOLE
        guest = whole and one.compute is not None and same_host(one.compute, [host]) is not None
        # In use without sessions: vGPUs, and what the daemon of MPS serves.
        direct = one.isolation == Isolation.MPS or (one.handle and not whole)
        idle = one.slice_id is None or (not direct and sessions is not None and not sessions.get(one.slice_id))
        found[one.device_id] = found.get(one.device_id, True) and (guest or (idle and not one.enabled))
    return frozenset(device_id for device_id, rests in found.items() if rests)
