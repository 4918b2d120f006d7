# SPDX-License-Identifier: Apache-2.0
"""``<api>_wire.h``: opcodes and payloads of the generated calls, for both sides."""

from accelpool.remoting.generator.model import SCALARS, Function, Interface
from accelpool.remoting.generator.text import banner, fields, opcode


def wire_header(interface: Interface) -> str:
    guard = f'ACCELPOOL_{interface.name.upper()}_WIRE_H'
    lines = [banner(interface), f'#ifndef {guard}', f'#define {guard}', '', '#include "wire.h"', '']
    if interface.calls:
        lines += [f'enum {interface.name}_opcode {{',
                  *(f'    {opcode(interface, f)} = {f.opcode},' for f in interface.calls), '};', '']
    for function in interface.calls:
        lines += _structs(interface, function)
    return '\n'.join([*lines, '#endif', ''])


def _structs(interface: Interface, function: Function) -> list[str]:
    prefix = f'{interface.name}_{function.name}'
    lines: list[str] = []
    if members := fields(interface, function):
        lines += [f'struct {prefix}_call {{', *(f'    {ctype} {a.name};' for a, ctype in members),
                  '} WIRE_PACKED;']
    if results := [a for a in function.args if a.returns]:
        lines += [f'struct {prefix}_reply {{', '    struct wire_reply reply;',
                  *(f'    {SCALARS[a.returns]} {a.name};' for a in results), '} WIRE_PACKED;']
    return lines
