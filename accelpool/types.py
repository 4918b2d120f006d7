# SPDX-License-Identifier: Apache-2.0
"""The values that cross boundaries: drivers -> conductor -> database -> scheduler -> API.

Everything here is a frozen dataclass of plain values, so that decisions can be pure functions and a
value can travel over the message bus as :meth:`to_dict` / :meth:`from_dict` (plain, JSON-able).
Units: memory in MiB, compute in percent points of one device (1-100).
"""

import dataclasses
import enum
from typing import Any, Self


class _Plain:
    """Mix-in: to and from a plain dictionary (what RPC and JSON carry)."""

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able dictionary."""
        return dataclasses.asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Build from :meth:`to_dict`'s form; lists become tuples, unknown keys are ignored.

        Ignoring unknown keys lets a service one release older read a newer sender's message.
        """
        fields = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        return cls(**{
            k: tuple(v) if isinstance(v, list) else v
            for k, v in data.items() if k in fields
        })


class Isolation(enum.StrEnum):
    """How a slice is kept apart from others on its device."""

    WHOLE = 'whole'          # the device, exclusively
    PARTITION = 'partition'  # hardware: MIG, vNPU template, mdev
    SHARED = 'shared'        # metered by the agent
    MPS = 'mps'              # limited by NVIDIA's MPS daemon, for consumers on the device's own host


#: Slices with a context on the device itself beside those of others: each costs the device its overhead.
SIDE_BY_SIDE = (Isolation.SHARED, Isolation.MPS)

#: A request that takes whatever a device offers: a metered share or a partition.
ANY_ISOLATION = 'any'


class Locality(enum.StrEnum):
    """Where a device may be, seen from the consumer's host."""

    HOST = 'host'      # the consumer's own host
    FABRIC = 'fabric'  # same fabric domain as a device of the consumer's host
    REMOTE = 'remote'  # never the consumer's own host
    ANY = 'any'


class Health(enum.StrEnum):
    """A device's condition, as its driver reports it."""

    OK = 'ok'
    DEGRADED = 'degraded'  # works, but takes no new slices
    FAILED = 'failed'      # does not work
    MISSING = 'missing'    # was there, is not discovered any more


@dataclasses.dataclass(frozen=True, kw_only=True)
class Device(_Plain):
    """One accelerator as its driver discovers it.

    ``id`` is stable across restarts (derived from the vendor's UUID, or from host and ordinal for an
    emulated device).  ``options`` is the driver's own; operators see it, tenants never do.
    """

    id: str
    driver: str
    vendor: str
    model: str
    memory: int                       # MiB
    overhead: int = 0                 # MiB that it is charged beside the memory of each slice of SIDE_BY_SIDE
    compute: int = 100                # percent points
    traits: tuple[str, ...] = ()
    modes: tuple[str, ...] = (Isolation.WHOLE, Isolation.SHARED)
    numa_node: int | None = None
    pci_address: str | None = None
    fabric: str | None = None         # NVLink / HCCS island, rack
    health: str = Health.OK
    health_reason: str | None = None
    partitions: dict[str, Any] | None = None   # accelpool.partitions.Geometry, None: it cannot be partitioned now
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request(_Plain):
    """What a consumer asks for: a profile's content with the caller's overrides applied.

    ``compute`` and ``memory`` are per slice; ``count`` slices are on distinct devices.
    ``traits`` are all required; ``any_traits`` wants at least one (empty = no condition).
    """

    count: int = 1
    compute: int = 100
    memory: int | None = None         # MiB; None with ``whole`` = all of the device's
    isolation: str = Isolation.SHARED  # or ANY_ISOLATION
    template: str | None = None       # a partition of this name; compute and memory are its own then
    locality: str = Locality.ANY
    technique: str = 'interpose'
    traits: tuple[str, ...] = ()
    any_traits: tuple[str, ...] = ()
    vendor: str | None = None
    model: str | None = None
    pool: str | None = None           # pool id; None = any pool
    data_network: str | None = None   # label of the network that sessions take; None = any
    provider: str | None = None       # on a device of this provider in OpenStack Placement; None = any
    consumer_host: str | None = None
    strict: bool = False              # never use idle compute beyond the share


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate(_Plain):
    """A device as the scheduler sees it at one generation: what it has and what is free on it.

    ``generation`` guards the claim: a claim made from an older generation fails in the database.
    """

    device_id: str
    host: str
    vendor: str
    model: str
    compute: int
    memory: int
    free_compute: int
    free_memory: int
    slices: int                       # how many slices it carries now
    generation: int
    overhead: int = 0                 # MiB beside the memory of each slice of SIDE_BY_SIDE
    traits: tuple[str, ...] = ()
    modes: tuple[str, ...] = (Isolation.WHOLE, Isolation.SHARED)
    pools: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()    # labels of the networks on which its host's agent can be reached
    fabric: str | None = None
    health: str = Health.OK
    enabled: bool = True              # the device is enabled and its host is up and enabled
    partitions: dict[str, Any] | None = None
    #: Isolation, template and position of the slices on it; only of a device that has partitions or does MPS.
    used: tuple[tuple[str, str | None, int | None], ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slice(_Plain):
    """A share of one device, claimed for one allocation.

    ``generation`` is the slice's own: raising it revokes every credential minted before.
    """

    id: str
    allocation_id: str
    device_id: str
    host: str
    compute: int
    memory: int                       # MiB
    overhead: int = 0                 # MiB that its device is charged beside it
    isolation: str = Isolation.SHARED
    strict: bool = False
    ordinal: int = 0                  # position inside the allocation: device 0, 1, ...
    generation: int = 1
    template: str | None = None       # of a partition: which one,
    position: int | None = None       # and where on the device


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rejection(_Plain):
    """Why one device cannot serve a request; ``reason`` is a sentence for the person who asked."""

    device_id: str
    host: str
    filter: str
    reason: str
