# SPDX-License-Identifier: Apache-2.0
"""Which devices can serve a request at all.  Pure.

A filter is a function ``(request, candidate, surroundings) -> reason | None``: None lets the candidate pass, a
reason is a sentence for the person who asked.  Others can be added under the entry point
``accelpool.scheduler.filters``.
"""

import dataclasses
from collections.abc import Callable

from accelpool.partitions import Choice, Geometry
from accelpool.placement import names
from accelpool.types import ANY_ISOLATION, SIDE_BY_SIDE, Candidate, Health, Isolation, Locality, Request


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """What a filter may know beside the one candidate."""

    consumer_fabrics: frozenset[str] = frozenset()   # fabric domains of the consumer's own devices


Filter = Callable[[Request, Candidate, Surroundings], str | None]


def health(_request: Request, candidate: Candidate, _: Surroundings) -> str | None:
    """Refuse what is disabled, down or not well."""
    if not candidate.enabled:
        return f'the device or its host {candidate.host} is disabled or down'
    if candidate.health != Health.OK:
        return f'its health is {candidate.health}'
    return None


def pool(request: Request, candidate: Candidate, _: Surroundings) -> str | None:
    """Refuse what is outside the pool that was asked for."""
    if request.pool is not None and request.pool not in candidate.pools:
        return 'it is not in the pool'
    return None


def provider(request: Request, candidate: Candidate, _: Surroundings) -> str | None:
    """Refuse devices that are not behind the provider which Placement has charged for the request."""
    if request.provider is not None and request.provider not in {
            names.local_provider(candidate.device_id), names.shared_provider(
                candidate.pools, candidate.vendor, candidate.model, candidate.traits, candidate.modes)}:
        return 'it is not behind the provider that Placement has chosen'
    return None


def model(request: Request, candidate: Candidate, _: Surroundings) -> str | None:
    """Refuse other vendors and models."""
    if request.vendor is not None and candidate.vendor != request.vendor:
        return f'its vendor is {candidate.vendor}, not {request.vendor}'
    if request.model is not None and candidate.model != request.model:
        return f'its model is {candidate.model}, not {request.model}'
    return None


def traits(request: Request, candidate: Candidate, _: Surroundings) -> str | None:
    """Refuse what lacks a required trait, or all of the acceptable ones."""
    lacking = sorted(set(request.traits) - set(candidate.traits))
    if lacking:
        return f'it lacks the traits {", ".join(lacking)}'
    if request.any_traits and not set(request.any_traits) & set(candidate.traits):
        return f'it has none of the traits {", ".join(request.any_traits)}'
    return None


def locality(request: Request, candidate: Candidate, surroundings: Surroundings) -> str | None:
    """Refuse what is in the wrong place, seen from the consumer's host."""
    if request.locality == Locality.ANY:
        return None
    if request.consumer_host is None:
        return f'locality {request.locality} needs the consumer host, which the request does not name'
    here = candidate.host == request.consumer_host
    if request.locality == Locality.HOST and not here:
        return f'it is on {candidate.host}, not on the consumer host {request.consumer_host}'
    if request.locality == Locality.REMOTE and here:
        return f'it is on the consumer host {request.consumer_host}, and locality is remote'
    if request.locality == Locality.FABRIC and not here \
            and candidate.fabric not in surroundings.consumer_fabrics:
        return f'it is not in a fabric domain of the consumer host {request.consumer_host}'
    return None


def network(request: Request, candidate: Candidate, _: Surroundings) -> str | None:
    """Refuse hosts that are not on the network that sessions shall take."""
    if request.data_network is None or request.data_network in candidate.networks:
        return None
    return f'its host {candidate.host} is not on the network {request.data_network}'


def isolation(request: Request, candidate: Candidate, _: Surroundings) -> str | None:
    """Refuse what cannot be sliced this way, or is sliced in another way now."""
    wanted = isolation_on(request, candidate)
    if wanted not in candidate.modes:
        allowed = ', '.join(candidate.modes) or 'none: its pools allow none that it can do'
        return f'it cannot do isolation {wanted}, only {allowed}'
    if wanted == Isolation.WHOLE and candidate.slices:
        return f'it carries {candidate.slices} slice(s), and isolation is whole'
    if wanted == Isolation.MPS and candidate.host != request.consumer_host:
        return f'isolation mps is for consumers on its own host {candidate.host}'
    # Hardware that is partitioned has no other use; clients of an MPS daemon and metered sessions would wait for each
    # other in ways that nobody accounts for.
    others = {kind for kind, _, _ in candidate.used} - {wanted}
    if others:
        return f'it carries slices with isolation {", ".join(sorted(others))}, which do not go with {wanted}'
    return None


def capacity(request: Request, candidate: Candidate, _: Surroundings) -> str | None:
    """Refuse what has too little left, and say whether it ever could have enough."""
    if isolation_on(request, candidate) == Isolation.PARTITION and candidate.partitions is not None:
        return _no_partition(request, Geometry.from_dict(candidate.partitions), candidate)
    compute, memory = share(request, candidate)
    beside = overhead(request, candidate)
    wanted = f'{memory} MiB' + (f' and {beside} MiB for the context of its sessions' if beside else '')
    if memory + beside > candidate.memory:
        return f'its memory is {candidate.memory} MiB, less than {wanted}'
    if compute > candidate.free_compute:
        return f'{candidate.free_compute} % of its compute is free, less than {compute} %'
    if memory + beside > candidate.free_memory:
        return f'{candidate.free_memory} MiB of its memory is free, less than {wanted}'
    return None


def _no_partition(request: Request, geometry: Geometry, candidate: Candidate) -> str | None:
    matching = geometry.matching(request.compute, request.memory, request.template)
    if not matching:
        kinds = ', '.join(one.name for one in geometry.templates)
        return f'none of its partitions serves the request; it can have {kinds}'
    if geometry.smallest(_spans(candidate), request.compute, request.memory, request.template) is None:
        return f'there is no room for a partition {" or ".join(one.name for one in matching)} on it now'
    return None


def _spans(candidate: Candidate) -> list[tuple[str, int | None]]:
    return [(template, position) for _, template, position in candidate.used if template is not None]


def isolation_on(request: Request, candidate: Candidate) -> str:
    """Return the isolation of a slice on this device: what was asked for, or, for any, what the device offers."""
    if request.template is not None:
        return Isolation.PARTITION
    if request.isolation == ANY_ISOLATION:
        kinds = [kind for kind, _, _ in candidate.used if kind in (Isolation.SHARED, Isolation.PARTITION)]
        return kinds[0] if kinds else Isolation.SHARED if Isolation.SHARED in candidate.modes else Isolation.PARTITION
    return request.isolation


def partition(request: Request, candidate: Candidate) -> Choice | None:
    """Return the partition that the request would get on this device; None when it gets none."""
    if isolation_on(request, candidate) != Isolation.PARTITION or candidate.partitions is None:
        return None
    return Geometry.from_dict(candidate.partitions).choose(
        _spans(candidate), request.compute, request.memory, request.template)


def share(request: Request, candidate: Candidate) -> tuple[int, int]:
    """Return (percent points, MiB) that the request would take of this device."""
    if isolation_on(request, candidate) == Isolation.PARTITION and candidate.partitions is not None:
        template = Geometry.from_dict(candidate.partitions).smallest(
            _spans(candidate), request.compute, request.memory, request.template)
        if template is not None:
            return template.compute, template.memory
    if request.isolation == Isolation.WHOLE:
        # All of it; a larger wish than the device has must still be refused.
        return candidate.compute, max(candidate.memory, request.memory or 0)
    if request.memory is None:
        return request.compute, max(0, candidate.memory - overhead(request, candidate))
    return request.compute, request.memory


def overhead(request: Request, candidate: Candidate) -> int:
    """Return the MiB that the device is charged beside the memory of the slice."""
    return candidate.overhead if isolation_on(request, candidate) in SIDE_BY_SIDE else 0


#: In the order in which a reason is most useful to a person.
DEFAULT: dict[str, Filter] = {
    'health': health, 'pool': pool, 'provider': provider, 'model': model, 'traits': traits, 'locality': locality,
    'network': network, 'isolation': isolation, 'capacity': capacity,
}
