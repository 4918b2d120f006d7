# SPDX-License-Identifier: Apache-2.0
"""The comparisons of setp and set."""

from accelpool.drivers.mock.ptx.emit_core import Emitter
from accelpool.drivers.mock.ptx.types import Type

_OPERATORS = {
    'eq': '==', 'ne': '!=', 'lt': '<', 'le': '<=', 'gt': '>', 'ge': '>=',
    'lo': '<', 'ls': '<=', 'hi': '>', 'hs': '>=',
}
_UNORDERED = {'equ': '==', 'neu': '!=', 'ltu': '<', 'leu': '<=', 'gtu': '>', 'geu': '>='}


def comparison(e: Emitter, operator: str, scalar: Type, left: str, right: str) -> str:
    """A C expression of 0 or 1. Integers compare as their type says, lo/ls/hi/hs unsigned."""
    if not scalar.is_float:
        if operator not in _OPERATORS or (scalar.kind == 'b' and operator not in ('eq', 'ne')):
            e.unsupported(f'comparison .{operator}: not supported')
        if operator in ('lo', 'ls', 'hi', 'hs'):
            left, right = f'({scalar.unsigned}){left}', f'({scalar.unsigned}){right}'
        return f'({left} {_OPERATORS[operator]} {right})'
    ordered = f'({left} == {left} && {right} == {right})'
    if operator == 'num':
        return ordered
    if operator == 'nan':
        return f'(!{ordered})'
    if operator in _UNORDERED:
        if operator == 'neu':
            return f'({left} != {right})'
        return f'({left} {_UNORDERED[operator]} {right} || !{ordered})'
    if operator == 'ne':
        return f'({left} < {right} || {left} > {right})'
    if operator not in ('eq', 'lt', 'le', 'gt', 'ge'):
        e.unsupported(f'comparison .{operator}: not supported')
    return f'({left} {_OPERATORS[operator]} {right})'
