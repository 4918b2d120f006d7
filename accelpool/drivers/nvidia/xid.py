# SPDX-License-Identifier: Apache-2.0
"""What an XID means and what must be done after it: ``xid.yaml`` as functions.  Pure."""

import enum
import functools
import pathlib
from typing import Any

import yaml


class Action(enum.StrEnum):
    """What makes a device sound again."""

    IGNORE = 'ignore'
    RESTART_APPLICATION = 'restart-application'
    RESET_GPU = 'reset-gpu'
    RESTART_HOST = 'restart-host'
    CONTACT_SUPPORT = 'contact-support'


#: What an operator is told to do.
ADVICE = {
    Action.RESTART_APPLICATION: 'restart the programs that use it',
    Action.RESET_GPU: 'disable it, end all programs on it and reset it (nvidia-smi --gpu-reset), then enable it',
    Action.RESTART_HOST: 'restart the host',
    Action.CONTACT_SUPPORT: 'contact the vendor; a reset, or a restart of the host, tries it again',
}


@functools.cache
def _table() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(pathlib.Path(__file__).with_name('xid.yaml').read_text())
    return found


@functools.cache
def actions() -> dict[int, Action]:
    """Return every code of the catalogue with its action."""
    return {code: Action(action) for action, codes in _table()['actions'].items() for code in codes}


def action(code: int) -> Action:
    """Return what to do after a code; one that the catalogue does not know is for the vendor."""
    return actions().get(code, Action.CONTACT_SUPPORT)


def describe(code: int) -> str:
    """Return ``XID 79 (GPU has fallen off the bus)``."""
    name = _table()['names'].get(code)
    return f'XID {code} ({name})' if name else f'XID {code}'
