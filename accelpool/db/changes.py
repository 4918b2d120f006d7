# SPDX-License-Identifier: Apache-2.0
"""What a transaction changes, told once it has been committed to whoever listens in this process.

Noted in the session's ``info``; a transaction that is rolled back tells nothing.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

_NOTED = 'accelpool.changes'


@dataclasses.dataclass(frozen=True)
class Change:
    """One thing that happened to one object; ``fields`` are what the object itself may not say any more later."""

    noun: str
    event: str
    id: str
    fields: dict[str, Any] = dataclasses.field(default_factory=dict)


_listener: Callable[[Change], None] | None = None


def listen(listener: Callable[[Change], None] | None) -> None:
    """Call ``listener`` with every change from now on, in the thread that has committed it; None: nobody listens."""
    global _listener  # noqa: PLW0603  one listener for each process
    _listener = listener


def note(info: dict[Any, Any], noun: str, event: str, identifier: str, **fields: Any) -> None:
    """Note in a session's ``info`` what its transaction changes."""
    if _listener is not None:
        info.setdefault(_NOTED, []).append(Change(noun, event, identifier, fields))


def tell(info: dict[Any, Any]) -> None:
    """Tell what a transaction, committed by now, has changed."""
    changes = info.pop(_NOTED, ())
    if _listener is not None:
        for change in changes:
            _listener(change)
