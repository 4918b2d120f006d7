# SPDX-License-Identifier: Apache-2.0
"""Which of the devices that can serve a request should.  Pure.

A weigher is a function ``(request, candidate) -> number``; the smallest sum wins.  Others can be added under the
entry point ``accelpool.scheduler.weighers``.
"""

from collections.abc import Callable

from accelpool.scheduler import filters
from accelpool.types import Candidate, Request

Weigher = Callable[[Request, Candidate], float]


def best_fit(request: Request, candidate: Candidate) -> float:
    """Prefer the device on which least is left over: the sum of the free fractions after the claim.

    It fills devices that are already cut before it opens a whole one.
    """
    compute, memory = filters.share(request, candidate)
    return (candidate.free_compute - compute) / candidate.compute \
        + (candidate.free_memory - memory - filters.overhead(request, candidate)) / candidate.memory


DEFAULT: dict[str, Weigher] = {'best_fit': best_fit}
