# SPDX-License-Identifier: Apache-2.0
"""``<api>_worker.c``: decode a call, check every handle and device range, call the vendor, answer."""

from accelpool.remoting.generator.model import SCALARS, Argument, Function, Interface
from accelpool.remoting.generator.text import banner, declare, fields, opcode

_HEAD = '''
#include <dlfcn.h>
#include <stddef.h>

#include "dispatch.h"
#include "ranges.h"
#include "{api}_wire.h"
#include "{api}_worker.h"

enum {{ NOT_SUPPORTED = 801, INVALID_VALUE = 1, INVALID_HANDLE = 400, STREAM_LITERALS = {literals} }};

/* The first streams, the default one among them, are the same numbers on both sides. 0, or -1: there is none. */
static inline int stream_of(struct session *s, uint64_t id, void **stream)
{{
    *stream = id <= STREAM_LITERALS ? (void *)(uintptr_t)id : handle_get(s, HANDLE_STREAM, id);
    return id <= STREAM_LITERALS || *stream ? 0 : -1;
}}

static inline int event_of(struct session *s, uint64_t id, void **event)
{{
    *event = handle_get(s, HANDLE_EVENT, id);
    return *event ? 0 : -1;
}}
'''


def worker_source(interface: Interface) -> str:
    generated = [f for f in interface.calls if f.generated_worker]
    lines = [banner(interface) + _HEAD.format(api=interface.name, literals=interface.stream_literals)]
    lines += ['static struct {']
    lines += [f'    int (*{f.name})({_vendor_parameters(interface, f)});' for f in generated]
    lines += ['} vendor_calls;', '']
    for function in generated:
        lines += [*_handler(interface, function), '']
    lines += _table(interface)
    lines += [f'void {interface.name}_vendor_load(void *library)', '{']
    for function in generated:
        lines += _load(function)
    return '\n'.join([*lines, '}', ''])


def _load(function: Function) -> list[str]:
    lines = [f'    *(void **)&vendor_calls.{function.name} = dlsym(library, "{function.name}");']
    if function.older:
        lines += [f'    if (!vendor_calls.{function.name})',
                  f'        *(void **)&vendor_calls.{function.name} = dlsym(library, "{function.older}");']
    return lines


def worker_header(interface: Interface) -> str:
    api = interface.name
    guard = f'ACCELPOOL_{api.upper()}_WORKER_H'
    lines = [banner(interface), f'#ifndef {guard}', f'#define {guard}', '', '#include "dispatch.h"', '',
             '/* The handler of an opcode, or NULL when there is none. */',
             f'const struct generated_call *{api}_call_find(uint16_t opcode);', '',
             '/* Fills the table of vendor calls; what the library lacks is answered with "not supported". */',
             f'void {api}_vendor_load(void *library);', '']
    lines += [f'void worker_{f.name}(struct session *s, const struct call *call);'
              for f in interface.calls if not f.generated_worker]
    return '\n'.join([*lines, '#endif', ''])


def _vendor_type(interface: Interface, a: Argument) -> str:
    if a.creates:
        return 'void **'
    if a.returns:
        return f'{SCALARS[a.returns]} *'
    return SCALARS.get(interface.wire(a), 'void *')


def _vendor_parameters(interface: Interface, function: Function) -> str:
    return ', '.join(declare(_vendor_type(interface, a), a.name) for a in function.args) or 'void'


def _decode(interface: Interface, function: Function) -> list[str]:
    lines = ['    struct decoder d = decoder_of(call);']
    for a, _ctype in fields(interface, function):
        kind = 'u64' if a.creates else interface.wire(a)
        if kind in SCALARS:
            lines.append(f'    {declare(SCALARS[kind], a.name + ("_id" if a.creates else ""))} = dec_{kind}(&d);')
        else:
            lines.append(f'    uint64_t {a.name}_id = dec_u64(&d);')
    for a in function.args:
        if a.creates or (not a.returns and interface.wire(a) not in SCALARS):
            lines.append(f'    void *{a.name} = NULL;')
    results = [a for a in function.args if a.returns]
    lines += [f'    {declare(SCALARS[a.returns], a.name)} = 0;' for a in results]
    if len(results) > 0:
        lines.append('    int code;')
    return lines


def _handler(interface: Interface, function: Function) -> list[str]:
    name = function.name
    lines = [f'static void handle_{name}(struct session *s, const struct call *call)', '{',
             *_decode(interface, function), '',
             '    if (dec_done(&d)) {', f'        session_end(s, "{name}: malformed");', '        return;', '    }',
             f'    if (!vendor_calls.{name}) {{', '        call_status(s, call, NOT_SUPPORTED);', '        return;',
             '    }']
    for a in function.args:
        lines += _checks(interface, a)
    created = next((a for a in function.args if a.creates), None)
    results = [a for a in function.args if a.returns]
    arguments = ', '.join(f'&{a.name}' if a.is_output else a.name for a in function.args)
    call = f'vendor_calls.{name}({arguments})'
    if created:
        lines += [f'    int code = {call};', '',
                  f'    if (!code && handle_put(s, HANDLE_{created.creates.upper()}, {created.name}_id, '
                  f'{created.name}))', f'        session_end(s, "{name}: a handle that is in use or out of bounds");',
                  '    else', '        call_status(s, call, code);']
    elif results:
        values = ', '.join(f'.{a.name} = {a.name}' for a in results)
        lines += [f'    code = {call};',
                  f'    struct {interface.name}_{name}_reply answer = {{{values}}};', '',
                  '    call_reply(s, call, code, (char *)&answer + sizeof answer.reply,',
                  '               sizeof answer - sizeof answer.reply);']
    elif function.work:
        stream = next((a.name for a in function.args if interface.wire(a) == 'stream'), 'NULL')
        lines += [f'    if (meter_begin(s, {stream}))', '        return;',
                  f'    int code = {call};', '', '    meter_end(s);', '    call_status(s, call, code);']
    else:
        lines += [f'    call_status(s, call, {call});']
    return [*lines, '}']


def _refuse(condition: str, error: str) -> list[str]:
    return [f'    if ({condition}) {{', f'        call_status(s, call, {error});', '        return;', '    }']


def _checks(interface: Interface, a: Argument) -> list[str]:
    if a.is_output:
        return []
    if a.destroys:
        return [f'    {a.name} = handle_take(s, HANDLE_{a.destroys.upper()}, {a.name}_id);',
                *_refuse(f'!{a.name}', 'INVALID_HANDLE')]
    kind = interface.wire(a)
    if kind not in SCALARS:
        return _refuse(f'{kind}_of(s, {a.name}_id, &{a.name})', 'INVALID_HANDLE')
    if span := a.reads or a.writes:
        return _refuse(f'!memory_contains(s, {a.name}, {span})', 'INVALID_VALUE')
    return []


def _table(interface: Interface) -> list[str]:
    api = interface.name
    lines = ['static const struct generated_call CALLS[] = {']
    for f in interface.calls:
        handler = f'{"handle" if f.generated_worker else "worker"}_{f.name}'
        lines.append(f'    [{opcode(interface, f)} - WIRE_CALLS] = {{{handler}, {int(f.blocks)}}},')
    return [*lines, '};', '',
            f'const struct generated_call *{api}_call_find(uint16_t opcode)', '{',
            '    unsigned index = (unsigned)opcode - WIRE_CALLS;', '',
            '    return index < sizeof CALLS / sizeof *CALLS && CALLS[index].handler ? &CALLS[index] : NULL;', '}', '']
