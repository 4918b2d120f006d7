# SPDX-License-Identifier: Apache-2.0
"""What real hardware is expected to reach, and whether it did.  Pure.

A figure that misses its target is a result, not a failure: the suite fails where a program computed wrongly or saw what
it may not see.
"""

import dataclasses

#: Work on a slice relative to native work, at least: long kernels 1 % slower at most, steps of 300 launches 10 %.
KERNELS = {'gemm': 0.99, 'triad': 0.99, 'step': 0.90}
#: Copies of pinned memory, relative to what the way there allows: the device's own rate or the transport's.
COPIES = 0.85
#: Work beside a tenant that only copies, relative to work alone: its kernels have the device to themselves.
BESIDE_COPIES = 0.90
#: Percent points that a share of device time may be off over 10 s.
SHARES = 2.0


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One figure beside what was wanted of it."""

    name: str
    got: float
    wanted: str
    met: bool


def kernel(name: str, way: str, on_slice: float, native: float) -> Verdict:
    """Judge a loop of kernels.

    :param name: a key of :data:`KERNELS`
    :param way: how the slice was reached, and from which image
    :param on_slice: work per second there
    :param native: work per second on the device itself, in the same run
    """
    ratio = on_slice / native
    return Verdict(f'{name} {way}', ratio, f'at least {KERNELS[name]:g} of native', ratio >= KERNELS[name])


def copies(way: str, on_slice: float, native: float, transport: float) -> Verdict:
    """Judge copies in one direction; all rates in one unit."""
    ratio = on_slice / min(native, transport)
    return Verdict(f'copies {way}', ratio, f'at least {COPIES:g} of what the transport allows', ratio >= COPIES)


def beside_copies(together: float, alone: float) -> Verdict:
    """Judge a loop of kernels beside a tenant that copies all the time; both in work per second."""
    ratio = together / alone
    return Verdict('kernels beside copies', ratio, f'at least {BESIDE_COPIES:g} of alone', ratio >= BESIDE_COPIES)


def share(name: str, wanted: float, got: float) -> Verdict:
    """Judge one tenant's part of the work, both in percent."""
    return Verdict(name, got, f'{wanted:g} within {SHARES:g} points', abs(got - wanted) <= SHARES)
