# SPDX-License-Identifier: Apache-2.0
"""Where shared and local variables lie, and how much stack a kernel may need.

A device function is compiled once for all kernels, so the shared variables that device functions use have the same
offsets in every kernel that calls any; a kernel's own follow behind them."""

from dataclasses import dataclass, field

from accelpool.drivers.mock.ptx import limits, symbols
from accelpool.drivers.mock.ptx.ast import model
from accelpool.drivers.mock.ptx.errors import PtxError
from accelpool.drivers.mock.ptx.link import Code, Module

RECURSION_LOCAL = 16 << 10
"""Bytes of local memory for calls whose depth nobody knows: recursive ones and those through registers."""
RECURSION_STACK = 768 << 10
"""Bytes of C stack for the same."""
BASE_STACK = 32 << 10
"""Bytes of C stack for libm and the executor's services."""


@dataclass(slots=True)
class Layout:
    """Of one function. Offsets are by the identity of the Variable."""

    shared: dict[int, int] = field(default_factory=dict)
    shared_bytes: int = 0
    local: dict[int, int] = field(default_factory=dict)
    local_bytes: int = 0
    reach_local: int = 0
    reach_stack: int = 0


def declared(block: model.Block, space: str) -> list[model.Variable]:
    """The variables of one state space in a function body."""
    found: list[model.Variable] = []
    for statement in block.statements:
        if isinstance(statement, model.Block):
            found.extend(declared(statement, space))
        elif isinstance(statement, model.Variable) and statement.space == space:
            found.append(statement)
    return found


def place(variables: list[model.Variable], start: int, offsets: dict[int, int], limit: int) -> int:
    """Gives each variable the next free offset; returns the end."""
    for variable in variables:
        align = max(variable.align, 1)
        start = (start + align - 1) // align * align
        offsets[id(variable)] = start
        start += variable.size
        if start > limit:
            raise PtxError(f'variable {variable.name!a} is too large')
    return start


class Planner:
    """Computes the layout of every function of a module."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.common: dict[int, int] = {}
        self.common_bytes = 0
        self.local: dict[int, dict[int, int]] = {}
        self.local_bytes: dict[int, int] = {}
        self._reach: dict[int, tuple[int, int]] = {}
        self._plan_common()
        for code in (*module.kernels, *module.functions):
            offsets: dict[int, int] = {}
            assert code.function.body is not None
            end = place(declared(code.function.body, 'local'), 0, offsets, limits.LOCAL_BYTES)
            self.local[id(code)] = offsets
            self.local_bytes[id(code)] = (end + 15) // 16 * 16

    def _shared_used(self, code: Code) -> list[model.Variable]:
        scope = self.module.shared_scopes[code.unit]
        return [self.module.shared[scope[name]] for name in sorted(code.used & scope.keys())]

    def _plan_common(self) -> None:
        for code in self.module.functions:
            assert code.function.body is not None
            wanted = self._shared_used(code) + declared(code.function.body, 'shared')
            fresh = [variable for variable in wanted if id(variable) not in self.common]
            self.common_bytes = place(fresh, self.common_bytes, self.common, limits.SHARED_BYTES)

    def callees(self, code: Code) -> list[Code]:
        """Device functions that this code names."""
        scope = self.module.scopes[code.unit]
        found = []
        for name in code.used:
            symbol = scope.get(name)
            if isinstance(symbol, symbols.FunctionSymbol) and symbol.index is not None:
                found.append(self.module.functions[symbol.index])
        return found

    def _depth(self, code: Code, active: set[int]) -> tuple[int, int]:
        """Local and stack bytes from here on down; calls of unknown depth count as a constant."""
        known = self._reach.get(id(code))
        if known is not None:
            return known
        if id(code) in active or len(active) > 2000:
            return RECURSION_LOCAL, RECURSION_STACK
        active.add(id(code))
        local, stack = (RECURSION_LOCAL, RECURSION_STACK) if code.indirect else (0, 0)
        for callee in self.callees(code):
            below = self._depth(callee, active)
            local, stack = max(local, below[0]), max(stack, below[1])
        active.discard(id(code))
        result = (min(local + self.local_bytes[id(code)], limits.LOCAL_BYTES),
                  stack + 512 + 16 * min(len(code.used), limits.REGISTERS_PER_FUNCTION))
        self._reach[id(code)] = result
        return result

    def layout(self, code: Code) -> Layout:
        """The complete layout of a kernel or device function."""
        plan = Layout(local=self.local[id(code)], local_bytes=self.local_bytes[id(code)])
        plan.reach_local, stack = self._depth(code, set())
        plan.reach_stack = BASE_STACK + stack
        if not code.function.entry:
            plan.shared = self.common
            return plan
        if self.common_bytes and (code.indirect or self.callees(code)):
            plan.shared = dict(self.common)
            plan.shared_bytes = self.common_bytes
        assert code.function.body is not None
        own = [variable for variable in self._shared_used(code) + declared(code.function.body, 'shared')
               if id(variable) not in plan.shared]
        plan.shared_bytes = place(own, plan.shared_bytes, plan.shared, limits.SHARED_BYTES)
        return plan
