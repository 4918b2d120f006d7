# SPDX-License-Identifier: Apache-2.0
"""What the translator refuses and how it says so, and that no tenant text reaches the C source."""

import contextlib
import re
import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from accelpool.drivers.mock.ptx import PtxError, limits, translate

HEADER = '.version 8.3\n.target sm_86\n.address_size 64\n'


def kernel(body: str, name: str = 'k', params: str = '') -> str:
    return f'{HEADER}.visible .entry {name}({params})\n{{\n.reg .b32 %r<8>; .reg .pred %p<4>; .reg .f32 %f<4>;\n{body}\nret;\n}}\n'


class ErrorTest(unittest.TestCase):
    def _refused(self, text: str, *parts: str) -> None:
        with self.assertRaises(PtxError) as caught:
            translate(text)
        for part in parts:
            self.assertIn(part, str(caught.exception))

    def test_an_unknown_instruction_is_named_with_its_line(self) -> None:
        self._refused(kernel('mov.u32 %r0, 1;\nwmma.load.a.sync.aligned.row.m16n16k16.global.f16 {%r0}, [%r1], %r2;'),
                      'line 8', 'wmma.load.a.sync.aligned.row.m16n16k16.global.f16 {%r0}, [%r1], %r2;', 'not supported')

    def test_unknown_modifiers_are_never_ignored(self) -> None:
        for text in ('add.wild.u32 %r0, %r1, %r2;', 'add.rn.u32 %r0, %r1, %r2;', 'ld.global.weird.u32 %r0, [%r1];',
                     'fma.rn.weird.f32 %f0, %f1, %f2, %f3;', 'bar.sync.weird 0;', 'cvt.weird.f32.s32 %f0, %r1;',
                     'setp.lt.weird.s32 %p0, %r1, %r2;', 'shfl.sync.left.b32 %r0, %r1, 1, 31, -1;',
                     'atom.global.mul.u32 %r0, [%r1], 1;', 'ex2.f32.approx %f0, %f1;'):
            with self.subTest(text):
                self._refused(kernel(text), 'line 7', text)

    def test_wrong_operands(self) -> None:
        for text in ('add.u32 %r0, %r1;', 'add.u32 %r0, %r1, %r2, %r3;', 'add.u32 %r0, %r9, %r1;', 'add.u32 %p0, %r1, %r2;',
                     'add.u32 %r0, %p1, %r2;', 'add.u64 %r0, %r1, %r2;', 'add.f32 %f0, %f1, %p1;', 'mov.u32 5, %r1;',
                     'add.s32 %r0, %r1, 0f3F800000;', '@%r0 bra OUT; OUT:', 'bra NOWHERE;', 'call nowhere, (%r0);',
                     'mov.b32 %r0, {%r1, %r2, %r3};', 'ld.global.v2.u32 {%r0}, [%r1];', 'mov.u32 %r0, %undefined;',
                     'selp.u32 %r0, %r1, %r2, %r3;', 'ld.param.u32 %r0, [nothing];', 'st.const.u32 [%r0], %r1;'):
            with self.subTest(text):
                self._refused(kernel(text), 'line 7')

    def test_text_that_is_not_ptx(self) -> None:
        for text in ('', 'hello', 'int main() {}', '\x7fELF', HEADER + '.visible .entry k() {', HEADER + '.entry k( { }',
                     HEADER + '.global .u32 x = ;', HEADER + '.global .f17 x;', '.version 8.0\n.address_size 32\n',
                     HEADER + '"unended', HEADER + '.entry k() { add.u32', HEADER + '.entry k() { @ }', '.version x',
                     HEADER + '.global .align 3 .u32 x;', HEADER + '.global .u32 x[2] = {1, 2, 3};',
                     HEADER + '.global .u32 x = nowhere;', HEADER + '.entry k() { .reg .b32 x; .reg .b32 x; }'):
            with self.subTest(text):
                self._refused(text)

    def test_names_defined_twice(self) -> None:
        self._refused(kernel('') + '.visible .entry k() { ret; }', 'twice')
        self._refused(kernel('') + kernel(''), 'more than one')
        self._refused(HEADER + '.visible .global .u32 x;' + HEADER + '.visible .global .u32 x;', 'more than one')

    def test_a_function_that_nobody_defines_matters_only_when_called(self) -> None:
        extern = '.extern .func (.param .b32 r) elsewhere (.param .b32 a);\n'
        translate(HEADER + extern + kernel('').removeprefix(HEADER))
        self._refused(HEADER + extern + kernel('call (%r0), elsewhere, (%r1);').removeprefix(HEADER), 'not defined')

    def test_limits(self) -> None:
        deep = '{' * (limits.NESTING + 2) + '}' * (limits.NESTING + 2)
        self._refused(kernel(deep), 'nested')
        self._refused(kernel('mov.b32 %r0, ' + '{' * 500 + '}' * 500 + ';'), 'nested')
        self._refused(HEADER + '.global .u32 x = ' + '{' * 100 + '1' + '}' * 100 + ';', 'nested')
        self._refused(kernel('.shared .b8 big[1000000];'), 'too large')
        self._refused(kernel('.local .b8 big[100000000];'), 'too large')
        self._refused(HEADER + f'.global .u32 x[{1 << 60}];', 'too large')
        self._refused(kernel('mov.u32 %r0, ' + '9' * 100 + ';'), 'too long')
        self._refused(kernel('', name='a' * 5000), 'too long')
        translate(kernel('.reg .b32 %many<2000000000>; mov.u32 %many1999999999, 1;'))

    def test_hostile_text_is_read_in_linear_time(self) -> None:
        for text in ('/*' * 300_000, '"' * 300_000, '/* ' + '*' * 300_000, '@' * 100_000, '{' * 100_000, '(' * 100_000):
            self._refused(text)
            self._refused(HEADER + '.entry k() { ' + text)

    def test_thousands_of_functions_that_call_through_registers(self) -> None:
        bodies = ''.join(f'.func f{n} () {{ .reg .b64 %f; p: .callprototype _ (); call %f, (), p; ret; }}\n' for n in range(1000))
        translate(HEADER + bodies)

    def test_a_message_is_short_and_printable(self) -> None:
        with self.assertRaises(PtxError) as caught:
            translate(kernel('madeup.u32 %r0, "' + '\x01\xff' * 9 + '", ' + ', '.join(['%r1'] * 5000) + ';'))
        self.assertLess(len(str(caught.exception)), 400)
        self.assertTrue(str(caught.exception).isprintable())


class LinkTest(unittest.TestCase):
    def test_several_inputs_become_one_module(self) -> None:
        caller = (HEADER + '.extern .func (.param .b32 r) helper (.param .b32 a);\n.extern .global .u32 shared_count;\n'
                  + kernel('call (%r0), helper, (%r1); ld.global.u32 %r2, [shared_count];').removeprefix(HEADER))
        library = (HEADER + '.visible .global .u32 shared_count = 3;\n.global .u32 own;\n'
                   '.visible .func (.param .b32 r) helper (.param .b32 a) { .reg .b32 %x; ld.param.b32 %x, [a]; '
                   'st.param.b32 [r], %x; ret; }\n')
        for text in (caller + library, library + caller):
            source = translate(text)
            self.assertIn('static void f0(', source)
            self.assertIn('static void k0(', source)
        with self.assertRaises(PtxError):
            translate(caller)

    def test_a_strong_definition_wins_over_a_weak_one(self) -> None:
        weak = HEADER + '.weak .func pick () { .reg .b32 %x; mov.u32 %x, 11111; ret; }\n'
        strong = HEADER + '.visible .func pick () { .reg .b32 %x; mov.u32 %x, 22222; ret; }\n'
        for text in (weak + strong, strong + weak, weak + strong + weak):
            source = translate(text)
            self.assertIn('22222u', source)
            self.assertNotIn('11111u', source)


MARK = 'ZqTenant'
IDENTIFIER = st.from_regex(r'[A-Za-z_$%][A-Za-z0-9_$]{0,12}', fullmatch=True)


class SecurityTest(unittest.TestCase):
    """The C compiler sees numbers where the tenant wrote names."""

    def test_hostile_names_never_appear(self) -> None:
        text = (HEADER + f'.file 1 "{MARK}.cu"\n.global .align 4 .b8 {MARK}_g[4] = {{1}};\n.shared .b8 {MARK}_s[4];\n'
                f'.func (.param .b32 {MARK}_r) {MARK}_f (.param .b32 {MARK}_a) {{ .reg .b32 {MARK}_x; {MARK}_l: '
                f'ld.param.b32 {MARK}_x, [{MARK}_a]; st.param.b32 [{MARK}_r], {MARK}_x; ret; }}\n'
                f'.visible .entry {MARK}_k(.param .u64 {MARK}_p) {{ .reg .b32 %{MARK}<3>; .reg .b64 {MARK}_q; '
                f'.local .b8 {MARK}_d[8]; .pragma "{MARK}"; .loc 1 2 3\n ld.param.u64 {MARK}_q, [{MARK}_p]; '
                f'call (%{MARK}1), {MARK}_f, (%{MARK}2); mov.u64 {MARK}_q, {MARK}_d; bra {MARK}_o; {MARK}_o: ret; }}\n'
                f'.section .debug_{MARK} {{ .b8 1 }}\n// {MARK}\n/* {MARK} */\n')
        source = translate(text)
        self.assertNotIn(MARK, source)
        self.assertNotIn('Tenant', source)
        escaped = ''.join(f'\\{byte:03o}' for byte in f'{MARK}_k'.encode())
        self.assertIn(escaped, source, 'the name is there as bytes')

    def test_c_keywords_and_runtime_names_are_ordinary_names(self) -> None:
        for name in ('int', 'main', 'system', 'asm', '__asm__', 'r0', 'k0', 't', 'pages', 'fuel', 'end', 'L0', 'goto', 'f0'):
            text = (f'{HEADER}.global .u32 {name};\n.visible .entry {name}x(.param .u64 p{name}) '
                    f'{{ .reg .b32 {name}r; {name}l: mov.u32 {name}r, 1; bra {name}l; }}')
            source = translate(text)
            self.assertIn('r0 = 1u;', source)
            self.assertIn('goto L0;', source)

    @given(st.lists(IDENTIFIER, min_size=6, max_size=6, unique=True), st.binary(max_size=20))
    @settings(max_examples=60, deadline=None)
    def test_only_the_generators_own_words_appear(self, names: list[str], data: bytes) -> None:
        g, k, r, label, p, s = (f'{name}_{MARK}' for name in names)
        values = ', '.join(map(str, data)) or '0'
        text = (f'{HEADER}.global .b8 {g}[{max(len(data), 1)}] = {{{values}}};\n.visible .entry {k}(.param .u64 {p}) '
                f'{{ .reg .b32 {r}; .shared .b8 {s}[4]; {label}: mov.u32 {r}, {s}; bra.uni {label}; }}')
        source = translate(text)
        self.assertNotIn(MARK, source)
        self.assertNotIn('_Zq', source)
        for name in names:
            if len(name) > 3:
                self.assertNotRegex(source, rf'(?<![\w]){re.escape(name)}_')

    @given(st.lists(st.sampled_from(list('.%$_abru0123456789{}()[];,<>@!|+-"\n ') + ['.reg', '.entry k', 'mov.u32 ']),
                    max_size=200))
    @settings(max_examples=300, deadline=None)
    def test_garbage_gives_an_error_and_nothing_else(self, pieces: list[str]) -> None:
        garbage = ''.join(pieces)
        for text in (garbage, HEADER + garbage, kernel(garbage)):
            with contextlib.suppress(PtxError):
                translate(text)
