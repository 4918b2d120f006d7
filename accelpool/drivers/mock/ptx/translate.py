# SPDX-License-Identifier: Apache-2.0
"""PTX text to the C source of one module. Nothing of the text reaches the C source but numbers and, as escaped bytes,
the names and initial values that the program asks for at run time."""

from accelpool.drivers.mock.ptx import body, image, layout, limits, symbols
from accelpool.drivers.mock.ptx.ast import model
from accelpool.drivers.mock.ptx.emit_core import Signatures
from accelpool.drivers.mock.ptx.errors import PtxError
from accelpool.drivers.mock.ptx.lexer import Source
from accelpool.drivers.mock.ptx.link import Code, Module, link, sizes
from accelpool.drivers.mock.ptx.parser import parse

_MAX_THREADS = 1024


def c_bytes(data: bytes) -> str:
    """A C string literal of these bytes, every one of them escaped."""
    parts = [data[start:start + 4096] for start in range(0, len(data), 4096)] or [b'']
    return '\n'.join('"' + ''.join(f'\\{byte:03o}' for byte in part) + '"' for part in parts)


class ModuleWriter:
    """Collects the C of one module in the order in which C wants it."""

    def __init__(self, source: Source, module: Module) -> None:
        self.module = module
        self.planner = layout.Planner(module)
        self.signatures: Signatures = {}
        self.context = body.Context(source, self.signatures)
        self.lines: list[str] = []
        self.size = 0

    def put(self, *lines: str) -> None:
        self.size += sum(map(len, lines))
        if self.size > limits.OUTPUT_BYTES:
            raise PtxError('the module is too large')
        self.lines.extend(lines)

    def write(self) -> str:
        for code in self.module.functions:
            self.put(self._head(code) + ';')
        self.put('static void (*callee(struct kernel_thread *t, uint64_t address, uint32_t signature))(void);')
        self._constant_space()
        for code in self.module.functions:
            self.put(*self._function(code)[0])
        rows = []
        for code in self.module.kernels:
            rows.append(self._kernel(code))
        self._callee()
        globals_, relocations = self._globals()
        self._table('struct kernel_function', 'functions', rows)
        self._table('struct kernel_global', 'variables', globals_)
        self._table('struct kernel_relocation', 'relocations', relocations)
        self.put('__attribute__((visibility("default"))) const struct kernel_module accelpool_module = {',
                 f'KERNEL_ABI, {len(rows)}u, {len(globals_)}u, {len(relocations)}u,',
                 'functions, variables, relocations};')
        return '\n'.join(self.lines) + '\n'

    def _table(self, c_type: str, name: str, rows: list[str]) -> None:
        self.put(f'static const {c_type} {name}[{max(len(rows), 1)}] = {{')
        self.put(*(row + ',' for row in rows or ['{0}']), '};')

    # --- functions ----------------------------------------------------------------------------------------

    def _head(self, code: Code) -> str:
        if code.function.entry:
            return f'static void k{code.index}(struct kernel_thread *t)'
        count = len(code.function.returns) + len(code.function.params)
        listed = ''.join(f', uint8_t *a{number}' for number in range(count))
        return f'static void f{code.index}(struct kernel_thread *t{listed})'

    def _function(self, code: Code) -> tuple[list[str], int, layout.Layout]:
        plan = self.planner.layout(code)
        names = dict(self.module.scopes[code.unit])
        for name, number in self.module.shared_scopes[code.unit].items():
            variable = self.module.shared[number]
            offset = plan.shared.get(id(variable))
            if offset is not None:
                names[name] = symbols.WindowSymbol('shared', offset, variable.size)
        lines, registers = body.write_function(self.context, names, plan, code.function, self._head(code))
        return lines, registers, plan

    def _kernel(self, code: Code) -> str:
        lines, registers, plan = self._function(code)
        self.put(*lines)
        function = code.function
        params, size = _parameters(function)
        if size > limits.PARAMETER_BYTES:
            raise PtxError(f'the parameters of {function.name!a} are too large')
        listed = ', '.join(f'{{{offset}u, {length}u}}' for offset, length in params) or '{0}'
        self.put(f'static const struct kernel_param params{code.index}[] = {{{listed}}};')
        unit = self.module.units[code.unit]
        maximum, required = _threads(function)
        return (f'{{{c_bytes(function.name.encode())}, k{code.index}, params{code.index}, {len(params)}u, {size}u, '
                f'{plan.shared_bytes}u, {plan.reach_local}u, {plan.reach_stack}u, {min(max(registers, 16), 255)}u, '
                f'{maximum}u, {{{required[0]}u, {required[1]}u, {required[2]}u}}, {unit.version}u, {unit.target}u}}')

    def _callee(self) -> None:
        """Functions by the address that a program sees. A call through a register must also fit the prototype."""
        rows = []
        for code in self.module.functions:
            shape = (sizes(code.function.returns), sizes(code.function.params))
            rows.append(f'{{(void (*)(void))f{code.index}, {self.signatures.get(shape, 0)}u}}')
        if not self.signatures:
            return
        self._table('struct { void (*function)(void); uint32_t signature; }', 'code', rows)
        self.put('static void (*callee(struct kernel_thread *t, uint64_t address, uint32_t signature))(void)', '{',
                 'uint64_t index = (address - KERNEL_CODE) / 16;',
                 f'if (address % 16 || index >= {len(rows)}u || code[index].signature != signature)',
                 't->services->fault(t, KERNEL_INVALID_PC, address);',
                 'return code[index].function;', '}')

    # --- variables ----------------------------------------------------------------------------------------

    def _constant_space(self) -> None:
        self.put('static __attribute__((unused)) int constant_space(struct kernel_thread *t, uint64_t a)', '{')
        for index, variable in enumerate(self.module.globals):
            if variable.space == 'const':
                self.put(f'if (a - t->globals[{index}] < {max(variable.size, 1)}ull) return 1;')
        self.put('return 0;', '}')

    def _globals(self) -> tuple[list[str], list[str]]:
        rows, relocations, total, seen = [], [], 0, set()
        owners = {id(variable): number for number, unit in enumerate(self.module.units) for variable in unit.variables}
        for index, variable in enumerate(self.module.globals):
            built = image.build(variable, self.module.scopes[owners[id(variable)]])
            total += len(built.data)
            if total > limits.INITIALISER_BYTES:
                raise PtxError('the initial values are too large')
            relocations += [f'{{{index}u, {target}u, {offset}ull, {addend}ll}}'
                            for offset, target, addend in built.relocations]
            visible = int(variable.name not in seen)
            seen.add(variable.name)
            data = f'(const uint8_t *){c_bytes(built.data)}' if built.data else '0'
            rows.append(f'{{{c_bytes(variable.name.encode())}, {variable.size}ull, {len(built.data)}ull, {data}, '
                        f'{variable.align}u, {int(variable.space == "const")}u, {visible}u, 0u}}')
        return rows, relocations


def _parameters(function: model.Function) -> tuple[list[tuple[int, int]], int]:
    """Offset and size of each kernel parameter, and the size of all."""
    found, offset = [], 0
    for variable in function.params:
        offset = (offset + variable.align - 1) // variable.align * variable.align
        found.append((offset, variable.size))
        offset += variable.size
    return found, offset


def _threads(function: model.Function) -> tuple[int, tuple[int, int, int]]:
    """The most threads of a block, and the shape that the kernel demands (zeros: any)."""
    required = function.directives.get('reqntid')
    if required:
        shape = (*required, 1, 1, 1)[:3]
        return min(shape[0] * shape[1] * shape[2], _MAX_THREADS), (shape[0], shape[1], shape[2])
    maximum = 1
    for extent in function.directives.get('maxntid', (_MAX_THREADS,)):
        maximum *= max(extent, 1)
    return min(maximum, _MAX_THREADS), (0, 0, 0)


def translate(ptx: str) -> str:
    """The C source of the module. Raises PtxError."""
    try:
        units = parse(ptx)
        if not units:
            raise PtxError('there is no PTX in this input')
        return ModuleWriter(Source(ptx), link(units)).write()
    except RecursionError:
        raise PtxError('the input is nested too deep') from None
