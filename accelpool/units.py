# SPDX-License-Identifier: Apache-2.0
"""Amounts as people write them in configuration."""

UNITS = {'MIB': 1, 'GIB': 1024}


def mib(text: str) -> int:
    """Read an amount of memory with its unit (``30GiB``, ``512 MiB``) as MiB.

    :raises ValueError: it is none
    """
    for unit, factor in UNITS.items():
        if text.upper().endswith(unit):
            return int(text[:-len(unit)]) * factor
    raise ValueError(f'{text!r} needs a unit, MiB or GiB')
