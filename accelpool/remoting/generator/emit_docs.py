# SPDX-License-Identifier: Apache-2.0
"""The documentation's coverage table, and the dictionary that the fuzzers start from."""

from accelpool.remoting.generator.model import Function, Interface

_REPLY = {'none': 'goes on at once', 'wait': 'one round trip', 'local': 'answered in the program'}


def coverage(interface: Interface) -> str:
    """A reStructuredText fragment: every function that the vendor's header names, and what becomes of a call."""
    local = sum(1 for f in interface.functions if f.reply == 'local')
    lines = [f'{len(interface.functions) - local} functions are carried to the worker, '
             f'{local} are answered in the program; '
             f'{len(interface.undescribed)} more symbols are exported and refused.', '',
             '.. list-table::', '   :header-rows: 1', '   :widths: 50 25 25', '',
             '   * - Function', '     - A call', '     - Frames']
    for f in interface.functions:
        lines += [f'   * - ``{f.name}``', f'     - {_REPLY[f.reply]}', f'     - {_frames(f)}']
    return '\n'.join([*lines, ''])


def _frames(f: Function) -> str:
    return f'{f.opcode}' if f.opcode else ', '.join(f'``{name}``' for name in f.frames) or 'none'


def fuzz_dictionary(interface: Interface) -> str:
    """libFuzzer / AFL dictionary: a frame header for every opcode of the interface and of the protocol."""
    lines = [f'# Frame headers: {interface.name}']
    opcodes = [(f'protocol_{code}', code) for code in range(6, 26)] + [(f.name, f.opcode) for f in interface.calls]
    for name, code in opcodes:
        for flags in (0, 1):
            header = bytes(4) + code.to_bytes(2, 'little') + flags.to_bytes(2, 'little')
            lines.append(f'{name}_{flags}="' + ''.join(f'\\x{byte:02x}' for byte in header) + '"')
    return '\n'.join([*lines, ''])
