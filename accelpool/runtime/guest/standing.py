# SPDX-License-Identifier: Apache-2.0
"""What a guest has at one moment, whoever it asked."""

from __future__ import annotations

import dataclasses
from typing import Any


class NotNow(Exception):
    """There is nothing to use at present; ``advice`` says what a person could do."""

    def __init__(self, detail: str, advice: str) -> None:
        super().__init__(detail)
        self.advice = advice


@dataclasses.dataclass(frozen=True)
class Standing:
    """``attachment`` is None while nothing is active; ``renew`` is when its credentials want renewal, in seconds."""

    consumer: str
    attachment: dict[str, Any] | None
    allocations: list[dict[str, Any]]
    renew: float
    warning: str = ''
