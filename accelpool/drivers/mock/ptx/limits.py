# SPDX-License-Identifier: Apache-2.0
"""How much one module may ask of the translator. A module beyond a limit is refused like any other invalid PTX."""

INPUT_BYTES = 32 << 20
TOKENS = 4_000_000
NESTING = 64
IDENTIFIER_BYTES = 4096
FUNCTIONS = 20_000
REGISTERS_PER_FUNCTION = 65_536
"""Registers that instructions name; a declaration of more, as in `.reg .b32 %r<1000000>`, costs nothing."""
PARAMETERS = 4096
PARAMETER_BYTES = 32_764
"""Of one kernel, CUDA 12.1 and later."""
SHARED_BYTES = 227 << 10
LOCAL_BYTES = 512 << 10
"""Per thread, the most that any compute capability has."""
INITIALISER_BYTES = 64 << 20
"""Of all variables of a module."""
VARIABLE_BYTES = 1 << 40
OUTPUT_BYTES = 256 << 20
DIAGNOSTIC_BYTES = 200
"""Of an instruction's text in a message."""
