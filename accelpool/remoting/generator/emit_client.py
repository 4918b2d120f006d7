# SPDX-License-Identifier: Apache-2.0
"""``<api>_client.c`` and ``<api>_prototypes.h``: what the client library exports."""

from accelpool.remoting.generator.model import NO_CODE, SCALARS, Argument, Function, Interface
from accelpool.remoting.generator.text import banner, declare, fields, opcode, prototype


def prototypes_header(interface: Interface) -> str:
    """Prototypes in the vendor's own type names: for the client, and for the ABI test against the vendor's header."""
    lines = [banner(interface), f'#ifndef {interface.name.upper()}_EXPORT',
             f'#define {interface.name.upper()}_EXPORT __attribute__((visibility("default")))', '#endif', '']
    for f in interface.functions:
        lines += [f'{interface.name.upper()}_EXPORT {prototype(interface, f, suffix)};'
                  for suffix in ('', *(f'_{v}' for v in f.variants))]
    return '\n'.join([*lines, ''])


def client_source(interface: Interface) -> str:
    api = interface.name
    lines = [banner(interface), '#include "client.h"', '#include "ranges.h"', f'#include "{api}_wire.h"', '']
    for f in interface.functions:
        if f.generated_client:
            lines += [*_stub(interface, f), '']
    for f in interface.functions:
        for suffix in f.variants:
            if suffix == 'ptds' or f.stream:
                lines += [*_variant(interface, f, suffix), '']
    for name, version in interface.undescribed.items():
        result, answer = interface.result, f'client_unsupported("{name}", &said)'
        if version in NO_CODE:
            result, answer = 'void *', f'{answer}, {NO_CODE[version]}'
        lines += [f'{api.upper()}_EXPORT {declare(result, name)}(void);', f'{declare(result, name)}(void)', '{',
                  '    static atomic_int said;', '', f'    return {answer};', '}', '']
    return '\n'.join([*lines, *(_look_up(interface) if interface.lookup else ())])


def _look_up(interface: Interface) -> list[str]:
    lines = ['/* By base name, then version. */', 'const struct client_symbol client_symbols[] = {']
    lines += [f'    {{"{s.base}", {s.version}, {int(s.per_thread)}, (client_function){s.name}}},'
              for s in interface.symbols]
    return [*lines, '};', 'const size_t client_symbol_count = sizeof client_symbols / sizeof *client_symbols;', '']


def _variant(interface: Interface, f: Function, suffix: str) -> list[str]:
    """The same call where stream 0 is the calling thread's own."""
    arguments = ', '.join(f'client_thread_stream({a.name})' if a is f.stream else a.name for a in f.args)
    return [prototype(interface, f, f'_{suffix}'), '{', f'    return {f.name}({arguments});', '}']


def _refuse(condition: str, error: str) -> list[str]:
    return [f'    if ({condition})', f'        return {error};']


def _failed() -> list[str]:
    return _refuse('code', 'CLIENT_STATUS(code)')


def _stub(interface: Interface, f: Function) -> list[str]:
    lines = [prototype(interface, f), '{', *_locals(interface, f), *_failed()]
    for a in f.args:
        if a.is_output:
            lines += _refuse(f'!{a.name}', 'CLIENT_INVALID_VALUE')
    for condition, name in f.refuse.items():
        lines += _refuse(condition, f'CLIENT_{name}')
    for a in f.args:
        lines += _input(interface, a)
    for a in f.args:
        if a.creates:
            lines += [f'    call.{a.name} = handle_new(HANDLE_{a.creates.upper()}, device, NULL);',
                      *_refuse(f'!call.{a.name}', 'CLIENT_OUT_OF_MEMORY')]
    lines += _send(interface, f)
    for a in f.args:
        if a.creates:
            kind = f'HANDLE_{a.creates.upper()}'
            lines += ['    if (!code)', f'        *{a.name} = handle_value({kind}, call.{a.name});',
                      '    else', f'        handle_free({kind}, call.{a.name});']
        elif a.destroys:
            lines += [f'    handle_free(HANDLE_{a.destroys.upper()}, call.{a.name});']
        elif a.returns:
            lines += ['    if (!code)', f'        *{a.name} = ({a.pointee})reply.{a.name};']
    return [*lines, '    return CLIENT_STATUS(code);', '}']


def _locals(interface: Interface, f: Function) -> list[str]:
    prefix = f'    struct {interface.name}_{f.name}'
    lines = [f'{prefix}_call call;'] if fields(interface, f) else []
    lines += [f'{prefix}_reply reply;'] if any(a.returns for a in f.args) else []
    lines += [f'    uint64_t id_of_{a.name};' for a in f.args if not a.is_output and interface.wire(a) not in SCALARS]
    return [*lines, '    struct device *device;', '    int code = client_enter(&device);', '']


def _input(interface: Interface, a: Argument) -> list[str]:
    if a.is_output:
        return []
    kind = interface.wire(a)
    if kind not in SCALARS:
        look_up = (f'client_stream(device, {a.name}' if kind == 'stream' and not a.destroys else
                   f'handle_id(HANDLE_{kind.upper()}, device, {a.name}')
        return [f'    code = {look_up}, &id_of_{a.name});', *_failed(),
                f'    call.{a.name} = id_of_{a.name};']
    lines = [f'    call.{a.name} = ({SCALARS[kind]}){a.name};']
    if span := a.reads or a.writes:
        lines += [f'    code = client_range(device, {a.name}, {span});', *_failed()]
    return lines


def _send(interface: Interface, f: Function) -> list[str]:
    words = {'CALL_WORK': f.work, 'CALL_IDLE': f.idle, 'CALL_ALWAYS': any(a.destroys for a in f.args)}
    flags = ' | '.join(word for word, wanted in words.items() if wanted) or '0'
    call = '&call, sizeof call' if fields(interface, f) else 'NULL, 0'
    head = f'device, {opcode(interface, f)}, {call}'
    if f.reply == 'none':
        return [f'    code = session_post({head}, {flags});']
    reply = '&reply.reply, sizeof reply' if any(a.returns for a in f.args) else 'NULL, 0'
    return [f'    code = session_wait({head}, {reply}, {flags});']
