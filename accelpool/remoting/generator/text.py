# SPDX-License-Identifier: Apache-2.0
"""Pieces of C that several emitters need."""

from accelpool.remoting.generator.model import SCALARS, Argument, Function, Interface


def banner(interface: Interface) -> str:
    return (f'/* SPDX-License-Identifier: Apache-2.0 */\n'
            f'/* Made from interfaces/{interface.name}.yaml by accelpool.remoting.generator: do not edit. */\n')


def declare(ctype: str, name: str) -> str:
    """``int *`` and ``x`` make ``int *x``; ``...`` has no name."""
    if ctype == '...':
        return ctype
    return f'{ctype}{name}' if ctype.endswith('*') else f'{ctype} {name}'


def prototype(interface: Interface, function: Function, suffix: str = '') -> str:
    parameters = ', '.join(declare(a.ctype, a.name) for a in function.args) or 'void'
    return declare(function.result or interface.result, f'{function.name}{suffix}({parameters})')


def opcode(interface: Interface, function: Function) -> str:
    return f'{interface.name.upper()}_OP_{function.name}'


def fields(interface: Interface, function: Function) -> list[tuple[Argument, str]]:
    """What the frame carries, in order: (argument, C type of the field)."""
    if function.by_hand:
        return []
    return [(a, SCALARS.get(interface.wire(a), 'uint64_t') if not a.creates else 'uint64_t')
            for a in function.args if not a.returns]
