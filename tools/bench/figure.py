# SPDX-License-Identifier: Apache-2.0
"""One measured figure beside its target."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Figure:
    """``value`` is text with its unit; ``met`` is None where there is no target, only a report."""

    what: str
    value: str
    target: str
    met: bool | None

    def __str__(self) -> str:
        verdict = {True: 'met', False: 'MISSED', None: 'report'}[self.met]
        return f'{self.what}: {self.value} (target {self.target}: {verdict})'


def percentile(values: list[float], percent: float) -> float:
    """Return the value below which ``percent`` % of the values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
