# SPDX-License-Identifier: Apache-2.0
"""Names of resource classes, traits and providers in Placement.  Pure, and the same in every process.

Providers have identifiers derived from what they stand for, so that two schedulers that create the same one collide,
and one that was deleted by mistake comes back as itself.
"""

import functools
import json
import re
import uuid

import os_traits

#: Resource classes of every provider: percent points of one device, and MiB.
COMPUTE, MEMORY = 'CUSTOM_ACCELPOOL_COMPUTE', 'CUSTOM_ACCELPOOL_MEMORY_MIB'

#: On every provider that is ours, so that nobody else touches it and we know it again.
OWNER = 'CUSTOM_OWNER_ACCELPOOL'
#: On the provider of a device that only its own host can use.
LOCAL = 'CUSTOM_ACCELPOOL_LOCAL'
#: Placement's own: this provider serves all members of its aggregates.
SHARES = 'MISC_SHARES_VIA_AGGREGATE'
#: Nova's own: this provider is a compute host.
COMPUTE_NODE = 'COMPUTE_NODE'

#: Longest name of a trait, and of a provider.
TRAIT_LENGTH, NAME_LENGTH = 255, 200

_SPACE = uuid.UUID('d0a1f7c4-1c55-4b7e-9a53-3f0a2a0d6f5e')
_STANDARD = frozenset(os_traits.get_traits())

#: Of which all compute hosts and all shared providers are members.
AGGREGATE = str(uuid.uuid5(_SPACE, 'aggregate'))


def trait(name: str) -> str:
    """Return a device's trait as Placement can have it: a standard one as it is, every other one ``CUSTOM_``."""
    upper = _upper(name)
    return upper if upper in _STANDARD or upper.startswith('CUSTOM_') else f'CUSTOM_{upper}'[:TRAIT_LENGTH]


def vendor(name: str) -> str:
    return _own('VENDOR', name)


def model(name: str) -> str:
    return _own('MODEL', name)


def mode(isolation: str) -> str:
    """Return the trait of devices that can be sliced in this way."""
    return _own('MODE', isolation)


def template(name: str) -> str:
    """Return the trait of devices that have room for a partition of this kind now."""
    return _own('TEMPLATE', name)


def pool(identifier: str) -> str:
    """Return the trait of devices of a pool; by its id, for its name may change."""
    return _own('POOL', identifier)


@functools.lru_cache(65536)
def local_provider(device_id: str) -> str:
    """Return the identifier of a local device's provider."""
    return str(uuid.uuid5(_SPACE, f'device {device_id}'))


@functools.lru_cache(1024)
def shared_provider(pools: tuple[str, ...], vendor: str, model: str, traits: tuple[str, ...],
                    modes: tuple[str, ...]) -> str:
    """Return the identifier of the provider of all devices in which no request can see a difference."""
    return str(uuid.uuid5(_SPACE, json.dumps([sorted(pools), vendor, model, sorted(traits), sorted(modes)])))


def _own(kind: str, name: str) -> str:
    return f'CUSTOM_ACCELPOOL_{kind}_{_upper(name)}'[:TRAIT_LENGTH]


def _upper(name: str) -> str:
    return re.sub(r'[^A-Z0-9_]', '_', name.upper())
