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


Listener = Callable[[Change], None]

_listeners: dict[str, Listener] = {}


def listen(who: str, listener: Listener | None) -> None:
    """Call ``listener`` with every change from now on, in the thread that has committed it.

    :param who: listens once: a further call replaces its listener, and None ends it
    """
    global _listeners  # noqa: PLW0603  replaced as a whole: other threads may be telling
    others = {name: other for name, other in _listeners.items() if name != who}
    _listeners = others if listener is None else {**others, who: listener}


def note(info: dict[Any, Any], noun: str, event: str, identifier: str, **fields: Any) -> None:
    """Note in a session's ``info`` what its transaction changes."""
    if _listeners:
        info.setdefault(_NOTED, []).append(Change(noun, event, identifier, fields))


def tell(info: dict[Any, Any]) -> None:
    """Tell what a transaction, committed by now, has changed."""
    changes = info.pop(_NOTED, ())
    for listener in _listeners.values() if changes else ():
        for change in changes:
            listener(change)
