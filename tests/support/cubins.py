# SPDX-License-Identifier: Apache-2.0
"""Machine code of real GPUs, and PTX, made with NVRTC: no GPU, no driver and no nvcc is needed for it."""

import pathlib
from typing import Any

from cuda.bindings import nvrtc

#: Parameters of every size and alignment; tests/native/client/cubin_params_test.c knows where they lie.
SOURCE = b"""
struct S { char c; double d; int a[5]; };
extern "C" __global__ void one(float *out, char c, short s, double d, int n) { out[threadIdx.x] = c + s + d + n; }
extern "C" __global__ void two(S s, long long *p, unsigned char last) { p[0] = s.c + s.d + s.a[3] + last; }
extern "C" __global__ void none() {}
"""


def compile(place: pathlib.Path, architecture: str) -> pathlib.Path:
    """Return a cubin for an architecture such as ``sm_80``."""
    program = _compiled(SOURCE, architecture)
    _, size = nvrtc.nvrtcGetCUBINSize(program)
    image = bytearray(size)
    nvrtc.nvrtcGetCUBIN(program, image)
    file = place / f'{architecture}.cubin'
    file.write_bytes(image)
    return file


def ptx(source: bytes) -> bytes:
    """Return a CUDA C++ source as PTX for every architecture from 7.5 on."""
    program = _compiled(source, 'compute_75')
    _, size = nvrtc.nvrtcGetPTXSize(program)
    text = bytearray(size)
    nvrtc.nvrtcGetPTX(program, text)
    return text.rstrip(b'\0')


def _compiled(source: bytes, architecture: str) -> Any:
    _, program = nvrtc.nvrtcCreateProgram(source, b'kernels.cu', 0, [], [])
    [code] = nvrtc.nvrtcCompileProgram(program, 1, [f'--gpu-architecture={architecture}'.encode()])
    assert code == 0, code
    return program
