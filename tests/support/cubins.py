# SPDX-License-Identifier: Apache-2.0
"""Machine code of real GPUs, made with NVRTC: no GPU and no driver is needed for it."""

import pathlib

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
    _, program = nvrtc.nvrtcCreateProgram(SOURCE, b'kernels.cu', 0, [], [])
    [code] = nvrtc.nvrtcCompileProgram(program, 1, [f'--gpu-architecture={architecture}'.encode()])
    assert code == 0, code
    _, size = nvrtc.nvrtcGetCUBINSize(program)
    image = bytearray(size)
    nvrtc.nvrtcGetCUBIN(program, image)
    file = place / f'{architecture}.cubin'
    file.write_bytes(image)
    return file
