# SPDX-License-Identifier: Apache-2.0
"""A device as Cyborg's clients see it: a device, one deployable on it, and attributes of that.  Pure.

Cyborg numbers its rows and shows these numbers; here they follow from the identifier, so every process has the same.
"""

import dataclasses
import functools
import hashlib
import json
import uuid
from typing import Any

from accelpool.api import cyborg
from accelpool.db import device as db_device
from accelpool.db import models
from accelpool.placement import names
from accelpool.types import Isolation

_SPACE = uuid.UUID('0f4f2e0a-64f7-4d0c-9c39-5a4f0d6f8f2b')
#: Bits of a number: every JSON parser keeps integers of this size exactly.
_BITS = 53

#: Kinds of accelerators by vendor; everything else is a GPU.
_TYPES = {'huawei': 'AICHIP'}


@functools.lru_cache(maxsize=65536)
def device_uuid(identifier: str) -> str:
    """Return a device's UUID: its identifier where that is, or ends in, one."""
    for text in (identifier, identifier[-36:]):
        try:
            if str(uuid.UUID(text)) == text:
                return text
        except ValueError:
            continue
    return str(uuid.uuid5(_SPACE, f'device {identifier}'))


@functools.lru_cache(maxsize=65536)
def deployable_uuid(identifier: str) -> str:
    return str(uuid.uuid5(_SPACE, f'deployable {identifier}'))


def number(identifier: str) -> int:
    """Return the integer of a device, which its deployable shares."""
    return int.from_bytes(hashlib.sha256(identifier.encode()).digest()[:8]) >> (64 - _BITS)


def kind(vendor: str) -> str:
    return _TYPES.get(vendor.lower(), 'GPU')


@dataclasses.dataclass(frozen=True)
class Attribute:
    """A key and a value of a deployable."""

    uuid: str
    key: str
    value: str


def attributes(device: models.Device) -> list[Attribute]:
    """Return what is known of a device by itself: its resource classes and traits."""
    pairs = [('rc', names.COMPUTE), ('rc1', names.MEMORY)]
    pairs += [(f'traits{place}', name) for place, name in enumerate(sorted(map(names.trait, device.traits)), 1)]
    return [Attribute(str(uuid.uuid5(_SPACE, f'{device.id} {key}')), key, value) for key, value in pairs]


def show_device(url: str, device: db_device.Listed, *, status: bool) -> dict[str, Any]:
    identifier = device_uuid(device.id)
    shown = {
        'uuid': identifier, 'type': kind(device.vendor), 'vendor': device.vendor, 'model': device.model,
        'std_board_info': json.dumps({
            'pci_address': device.pci_address, 'numa_node': device.numa_node, 'health': device.health}),
        'vendor_board_info': json.dumps({'memory_mib': device.memory, 'driver': device.driver}),
        'hostname': device.hostname,
        'links': cyborg.links(url, 'devices', identifier),
        'created_at': cyborg.time(device.created_at), 'updated_at': cyborg.time(device.updated_at),
    }
    if status:
        shown['status'] = 'enabled' if device.enabled else 'maintaining'
    return shown


def show_deployable(url: str, device: models.Device, noted: list[Attribute]) -> dict[str, Any]:
    """Show what Nova's instances can have of a device."""
    identifier = deployable_uuid(device.id)
    return {
        'uuid': identifier, 'parent_id': None, 'root_id': None, 'name': f'{device.host.name}_{device.model}',
        # A whole device is one accelerator; of anything smaller there may be as many as it has percent points.
        'num_accelerators': device.compute if Isolation.SHARED in device.modes else 1,
        'device_id': number(device.id),
        'attributes_list': json.dumps([{one.key: one.value} for one in (*attributes(device), *noted)]),
        'rp_uuid': names.local_provider(device.id), 'driver_name': device.driver, 'bitstream_id': None,
        'links': [*cyborg.links(url, 'deployables', identifier),
                  {'href': f'{url}/deployables/{identifier}', 'rel': 'bookmark'}],
        'created_at': cyborg.time(device.created_at), 'updated_at': cyborg.time(device.updated_at),
    }
