# SPDX-License-Identifier: Apache-2.0
"""What must be written when the devices are not as the database has them.  Pure."""

import dataclasses
from collections.abc import Iterable, Mapping, Set

from accelpool.types import Device, Health


def delta(known: Mapping[str, Device], found: Iterable[Device], drivers: Iterable[str],
          resting: Set[str] = frozenset()) -> list[Device]:
    """Return the devices to save: new ones, changed ones, and those that are not found any more.

    :param known: what the database has of this host, by id
    :param found: what the drivers have discovered
    :param drivers: the drivers that could look; devices of others are left as they are
    :param resting: devices that were, or are from now on, not looked at: what is known of them stays
    """
    present = {device.id: device for device in found}
    changed = [device for device in present.values() if known.get(device.id) != device]
    looked = set(drivers)
    gone = [
        dataclasses.replace(device, health=Health.MISSING, health_reason='not discovered any more')
        for device in known.values()
        if device.id not in present and device.id not in resting
        and device.driver in looked and device.health != Health.MISSING
    ]
    return changed + gone
