# SPDX-License-Identifier: Apache-2.0
"""Emulated devices that an instance on their host gets into its guest: a whole one as a PCI function, a quarter of one
as a mediated device.

No hypervisor can pass them through, but everything up to it is as with real ones, and Nova's fake driver takes them.
"""

import uuid

from accelpool.drivers.base import Handle
from accelpool.partitions import Geometry, Template
from accelpool.types import Device, Isolation, Slice

#: ``attach`` of a device -> how it can be cut.  None of these can be shared, so each is a provider of its own.
MODES = {'pci': (Isolation.WHOLE,), 'mdev': (Isolation.PARTITION,)}
#: ``attach`` of a device -> why its slices have no sessions.
NO_SESSIONS = {'mdev': 'a mediated device is seen inside the instance only'}
#: Parts of a device with mediated devices.
PARTS = 4
#: The type of mediated device that Nova is told to make.
TYPE = 'emulated-quarter'

_SPACE = uuid.UUID('4b4b1f52-70a3-4bd5-9e0c-6d9a0a8b3b7d')


def geometry(memory: int) -> Geometry:
    """Return the parts of a device with so many MiB."""
    return Geometry(
        templates=(Template(name=TYPE, compute=100 // PARTS, memory=memory // PARTS, needs={'parts': 1}),),
        capacity={'parts': PARTS})


def handle(device: Device, wanted: Slice) -> Handle | None:
    """Return how Nova gives a slice to an instance; None: it does not."""
    match device.options.get('attach'):
        case 'pci':
            return Handle(type='PCI', address=str(device.pci_address))
        case 'mdev':
            return Handle(type='MDEV', address=str(device.pci_address), asked_type=wanted.template,
                          uuid=str(uuid.uuid5(_SPACE, wanted.id)))
    return None
