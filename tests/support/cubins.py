# SPDX-License-Identifier: Apache-2.0
"""Machine code of real GPUs, and PTX, made with NVRTC: no GPU, no driver and no nvcc is needed for it."""

import pathlib
from collections.abc import Iterable
from typing import Any

from cuda.bindings import nvfatbin, nvrtc

#: Parameters of every size and alignment; tests/native/client/cubin_params_test.c knows where they lie.
SOURCE = b"""
struct S { char c; double d; int a[5]; };
extern "C" __global__ void one(float *out, char c, short s, double d, int n) { out[threadIdx.x] = c + s + d + n; }
extern "C" __global__ void two(S s, long long *p, unsigned char last) { p[0] = s.c + s.d + s.a[3] + last; }
extern "C" __global__ void none() {}
"""


def compile(place: pathlib.Path, architecture: str) -> pathlib.Path:
    """Return a file with a cubin for an architecture such as ``sm_80``."""
    file = place / f'{architecture}.cubin'
    file.write_bytes(cubin(SOURCE, architecture))
    return file


def cubin(source: bytes, architecture: str) -> bytes:
    """Return a CUDA C++ source as machine code for an architecture such as ``sm_80``."""
    program = _compiled(source, architecture)
    _, size = nvrtc.nvrtcGetCUBINSize(program)
    image = bytearray(size)
    nvrtc.nvrtcGetCUBIN(program, image)
    return bytes(image)


def ptx(source: bytes, architecture: str = 'compute_75') -> bytes:
    """Return a CUDA C++ source as PTX for an architecture and all that came after it."""
    program = _compiled(source, architecture)
    _, size = nvrtc.nvrtcGetPTXSize(program)
    text = bytearray(size)
    nvrtc.nvrtcGetPTX(program, text)
    return bytes(text.rstrip(b'\0'))


def fatbin(parts: Iterable[tuple[bytes, str]], *options: str) -> bytes:
    """Join cubins and PTX, each with its architecture such as ``80``, into a fat binary.

    :param options: nvFatbin's, such as ``-compress-all``, which takes zstd, or LZ4 with ``-compress-mode=speed``
    """
    binary = nvfatbin.create(list(options), len(options))
    for image, architecture in parts:
        if image.startswith(b'\x7fELF'):
            nvfatbin.add_cubin(binary, image, len(image), architecture, 'kernels')
        else:
            text = image + b'\0'
            nvfatbin.add_ptx(binary, text, len(text), architecture, 'kernels', '')
    joined = bytearray(nvfatbin.size(binary))
    nvfatbin.get(binary, joined)
    nvfatbin.destroy(binary)
    return bytes(joined)


def _compiled(source: bytes, architecture: str) -> Any:
    _, program = nvrtc.nvrtcCreateProgram(source, b'kernels.cu', 0, [], [])
    [code] = nvrtc.nvrtcCompileProgram(program, 1, [f'--gpu-architecture={architecture}'.encode()])
    assert code == 0, code
    return program
