# SPDX-License-Identifier: Apache-2.0
"""From a request and the devices to slices, or to the reason for every device.  Pure.

Ties are broken by the host's name and then by the device's id, so that the same pool and the same request always
give the same answer.
"""

import dataclasses
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence

from accelpool import types
from accelpool.scheduler import filters as default_filters
from accelpool.scheduler import weighers as default_weighers


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Every device judged: the fitting ones, best first, and why the others do not fit."""

    fitting: tuple[types.Candidate, ...]
    rejections: tuple[types.Rejection, ...]

    def without(self, devices: Collection[str]) -> 'Verdict':
        """Return the verdict with some devices refused because the consumer has a slice of them already."""
        return Verdict(
            tuple(one for one in self.fitting if one.device_id not in devices),
            self.rejections + tuple(
                types.Rejection(device_id=one.device_id, host=one.host, filter='distinct',
                                reason='the same consumer has a slice of it already')
                for one in self.fitting if one.device_id in devices))


def judge(request: types.Request, candidates: Sequence[types.Candidate],
          filters: Mapping[str, default_filters.Filter] = default_filters.DEFAULT,
          weighers: Mapping[str, default_weighers.Weigher] = default_weighers.DEFAULT) -> Verdict:
    """Filter and order all devices for one request."""
    around = default_filters.Surroundings(frozenset(
        c.fabric for c in candidates if c.host == request.consumer_host and c.fabric is not None))
    fitting, rejections = [], []
    for candidate in candidates:
        rejection = _first_rejection(request, candidate, around, filters)
        if rejection is None:
            fitting.append(candidate)
        else:
            rejections.append(rejection)
    fitting.sort(key=lambda c: (sum(weigh(request, c) for weigh in weighers.values()), c.host, c.device_id))
    return Verdict(tuple(fitting), tuple(rejections))


def _first_rejection(request: types.Request, candidate: types.Candidate, around: default_filters.Surroundings,
                     filters: Mapping[str, default_filters.Filter]) -> types.Rejection | None:
    for name, accepts in filters.items():
        reason = accepts(request, candidate, around)
        if reason is not None:
            return types.Rejection(
                device_id=candidate.device_id, host=candidate.host, filter=name, reason=reason)
    return None


def place(request: types.Request, allocation_id: str, verdict: Verdict) -> tuple[types.Slice, ...] | None:
    """Return ``request.count`` slices on distinct devices, or None when too few fit."""
    if len(verdict.fitting) < request.count:
        return None
    return tuple(_slice(request, allocation_id, ordinal, candidate)
                 for ordinal, candidate in enumerate(verdict.fitting[:request.count]))


def _slice(request: types.Request, allocation_id: str, ordinal: int,
           candidate: types.Candidate) -> types.Slice:
    compute, memory = default_filters.share(request, candidate)
    chosen = default_filters.partition(request, candidate)
    return types.Slice(
        id=str(uuid.uuid4()), allocation_id=allocation_id, device_id=candidate.device_id, host=candidate.host,
        compute=compute, memory=memory, overhead=default_filters.overhead(request, candidate),
        isolation=default_filters.isolation_on(request, candidate), strict=request.strict, ordinal=ordinal,
        template=None if chosen is None else chosen.template.name, position=None if chosen is None else chosen.start)


def only_shares(candidate: types.Candidate, wanted: types.Slice) -> bool:
    """Whether a slice fits as long as its share is free, whatever else has changed on the device.

    It does not where the hardware has to do with it: partitions have places, and exclude other kinds of slices.
    """
    return (wanted.isolation == types.Isolation.SHARED and candidate.partitions is None and not candidate.used
            and types.Isolation.MPS not in candidate.modes)


def explain(request: types.Request, verdict: Verdict) -> str:
    """Say why a request cannot be placed, each reason once with the devices that it holds for."""
    if not verdict.fitting and not verdict.rejections:
        return 'there are no devices in the pool'
    grouped: dict[str, list[str]] = {}
    for rejection in verdict.rejections:
        grouped.setdefault(rejection.reason, []).append(rejection.device_id)
    few = f'{request.count} device(s) wanted, {len(verdict.fitting)} fit' if verdict.fitting else 'no device fits'
    return f'{few}; ' + '; '.join(f'{_some(devices)}: {reason}' for reason, devices in grouped.items())


def _some(devices: Iterable[str]) -> str:
    named = list(devices)
    return ', '.join(named[:4]) + (f' and {len(named) - 4} more' if len(named) > 4 else '')
