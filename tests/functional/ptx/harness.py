# SPDX-License-Identifier: Apache-2.0
"""Runs PTX through the translator and the executor in this process, without the emulated CUDA library."""

import atexit
import ctypes
import functools
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

import accelpool.drivers.mock
from accelpool.drivers.mock.ptx import compile_module

NATIVE = Path(accelpool.drivers.mock.__file__).parent / 'native'
HEADER = '.version 8.3\n.target sm_90\n.address_size 64\n'


@functools.cache
def scratch() -> Path:
    """A directory that the process removes at its end."""
    path = Path(tempfile.mkdtemp(prefix='accelpool-ptx-'))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@functools.cache
def library() -> ctypes.CDLL:
    """The executor with the harness around it."""
    out = scratch() / 'harness.so'
    sources = [*NATIVE.glob('kernel_*.c'), Path(__file__).with_name('harness.c')]
    subprocess.run(['gcc', '-std=c11', '-D_GNU_SOURCE', '-O2', '-g', '-fPIC', '-shared', '-Wall', '-Wextra', '-Werror',
                    '-Wno-format-nonliteral', '-ffp-contract=off', f'-I{NATIVE}', '-o', str(out),
                    *map(str, sources), '-ldl', '-lm', '-pthread'], check=True)
    loaded = ctypes.CDLL(str(out))
    loaded.harness_allocate.restype = ctypes.c_uint64
    loaded.harness_allocate.argtypes = [ctypes.c_uint64]
    loaded.harness_load.restype = ctypes.c_void_p
    loaded.harness_global.restype = ctypes.c_uint64
    loaded.harness_global.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    loaded.harness_attribute.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    loaded.harness_launch.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_uint32,
                                      ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32]
    loaded.harness_printed.restype = ctypes.POINTER(ctypes.c_char)
    loaded.harness_charged.restype = ctypes.c_int64
    loaded.harness_committed.restype = ctypes.c_uint64
    loaded.harness_fault_address.restype = ctypes.c_uint64
    assert loaded.harness_start() == 0
    return loaded


class Buffer:
    """Device memory; `array` is a view of it."""

    def __init__(self, data: npt.NDArray[np.generic]) -> None:
        self.address = int(library().harness_allocate(max(data.nbytes, 1)))
        assert self.address
        window = (ctypes.c_uint8 * max(data.nbytes, 1)).from_address(self.address)
        self.array = np.frombuffer(memoryview(window), dtype=data.dtype, count=data.size).reshape(data.shape)
        self.array[...] = data


Argument = Buffer | int | np.generic


def _pack(arguments: Sequence[Argument | bytes]) -> bytes:
    """Kernel parameters at their natural alignment; int is 64 bits."""
    data = bytearray()
    for argument in arguments:
        if isinstance(argument, bytes):
            raw, align = argument, 8
        elif isinstance(argument, np.generic):
            raw, align = argument.tobytes(), argument.nbytes
        else:
            raw, align = struct.pack('<Q', (argument.address if isinstance(argument, Buffer) else argument) % 2**64), 8
        data += bytes(-len(data) % align) + raw
    return bytes(data)


class Module:
    """A translated and loaded module."""

    def __init__(self, ptx: str) -> None:
        out = Path(tempfile.mktemp(suffix='.so', dir=scratch()))
        compile_module(ptx.encode(), out)
        self.handle = library().harness_load(str(out).encode())
        assert self.handle

    def launch(self, name: str, grid: int | Sequence[int], block: int | Sequence[int], *arguments: Argument | bytes,
               shared: int = 0, budget_ns: int = 10**9, steps: int = 0) -> int:
        """CUresult; -1 when `steps` steps were not enough."""
        shape: list[int] = []
        for part in (grid, block):
            values = [part] if isinstance(part, int) else list(part)
            shape += (values + [1, 1])[:3]
        packed = _pack(arguments)
        return int(library().harness_launch(self.handle, name.encode(), (ctypes.c_uint32 * 6)(*shape), shared,
                                            packed + bytes(16), budget_ns, steps))

    def run(self, name: str, grid: int | Sequence[int], block: int | Sequence[int], *arguments: Argument | bytes,
            shared: int = 0) -> None:
        """A launch that must succeed."""
        result = self.launch(name, grid, block, *arguments, shared=shared)
        assert result == 0, f'{name}: CUresult {result}'

    def global_address(self, name: str) -> int:
        return int(library().harness_global(self.handle, name.encode()))

    def attribute(self, name: str, which: int) -> int:
        """0 shared, 1 local, 2 max threads, 3 required x, 4 parameter bytes, 5 version, 6 target."""
        return int(library().harness_attribute(self.handle, name.encode(), which))


def printed() -> bytes:
    """What the last launch printed."""
    length = ctypes.c_size_t()
    text = library().harness_printed(ctypes.byref(length))
    return bytes(text[:length.value])
