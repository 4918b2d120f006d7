# SPDX-License-Identifier: Apache-2.0
"""CUDA C++ through NVRTC and Python through numba-cuda: whole kernels, for several architectures."""

import ctypes
import importlib
import math
import pathlib
import unittest
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.functional.ptx.harness import Buffer, Module, printed


def optional(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


numba_cuda, sigutils = (optional(name) for name in ('numba.cuda', 'numba.core.sigutils'))

SOURCE = r"""
extern "C" __global__ void saxpy(float a, const float *x, float *y, int n)
{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) y[i] = a * x[i] + y[i]; }

template <int T> __device__ void tile(const double *A, const double *B, double *C, int n)
{
    __shared__ double a[T][T], b[T][T];
    int x = blockIdx.x * T + threadIdx.x, y = blockIdx.y * T + threadIdx.y;
    double s = 0;
    for (int k = 0; k < n; k += T) {
        a[threadIdx.y][threadIdx.x] = y < n && k + threadIdx.x < n ? A[y * n + k + threadIdx.x] : 0;
        b[threadIdx.y][threadIdx.x] = x < n && k + threadIdx.y < n ? B[(k + threadIdx.y) * n + x] : 0;
        __syncthreads();
        for (int j = 0; j < T; j++) s += a[threadIdx.y][j] * b[j][threadIdx.x];
        __syncthreads();
    }
    if (x < n && y < n) C[y * n + x] = s;
}
extern "C" __global__ void matmul(const double *A, const double *B, double *C, int n) { tile<16>(A, B, C, n); }

extern "C" __global__ void sum_shared(const float *a, float *o, int n)
{
    extern __shared__ float s[];
    int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    s[t] = i < n ? a[i] : 0;
    __syncthreads();
    for (int k = blockDim.x / 2; k > 0; k >>= 1) { if (t < k) s[t] += s[t + k]; __syncthreads(); }
    if (t == 0) atomicAdd(o, s[0]);
}
__inline__ __device__ int warp_sum(int v) { for (int k = 16; k; k >>= 1) v += __shfl_down_sync(0xffffffff, v, k); return v; }
extern "C" __global__ void sum_shuffle(const int *a, int *o, int n)
{
    __shared__ int part[32];
    int i = blockIdx.x * blockDim.x + threadIdx.x, v = warp_sum(i < n ? a[i] : 0);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = v;
    __syncthreads();
    if (threadIdx.x < 32) {
        v = warp_sum(threadIdx.x < blockDim.x / 32 ? part[threadIdx.x] : 0);
        if (threadIdx.x == 0) atomicAdd(o, v);
    }
}
extern "C" __global__ void histogram(const unsigned char *a, unsigned *o, int n)
{
    __shared__ unsigned h[256];
    for (int i = threadIdx.x; i < 256; i += blockDim.x) h[i] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) atomicAdd(&h[a[i]], 1u);
    __syncthreads();
    for (int i = threadIdx.x; i < 256; i += blockDim.x) atomicAdd(&o[i], h[i]);
}
__device__ int mutex;
extern "C" __global__ void locked(int *counter)
{
    bool done = false;
    while (!done) {
        if (atomicCAS(&mutex, 0, 1) == 0) {
            __threadfence();
            volatile int *c = counter;
            *c = *c + 1;
            __threadfence();
            atomicExch(&mutex, 0);
            done = true;
        }
    }
}
__device__ unsigned ticket;
extern "C" __global__ void last_block(const int *a, int *partial, int *o, int n)
{
    __shared__ bool last;
    int v = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) v += a[i];
    v = warp_sum(v);
    if (threadIdx.x == 0) {
        partial[blockIdx.x] = v;
        __threadfence();
        last = atomicInc(&ticket, gridDim.x - 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (last) {
        v = warp_sum(threadIdx.x < gridDim.x ? ((volatile int *)partial)[threadIdx.x] : 0);
        if (threadIdx.x == 0) *o = v;
    }
}
extern "C" __global__ void divergent(int *o)
{
    __shared__ int s[128];
    int t = threadIdx.x;
    s[t] = t;
    for (int round = 0; round < 8; round++) {
        __syncthreads();
        int v;
        if (t % 3 == 0) { v = s[(t + 1) % 128]; for (int k = 0; k < t; k++) v += k & 1; }
        else if (t % 3 == 1) v = s[(t + 127) % 128] * 3;
        else v = s[t] ^ 5;
        __syncthreads();
        s[t] = v;
    }
    o[t] = s[t];
}
extern "C" __global__ void mathematics(const double *a, double *o, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    double x = a[i];
    double *r = o + 12 * i;
    r[0] = exp(x); r[1] = log(fabs(x)); r[2] = sin(x * 1000); r[3] = cos(x); r[4] = tan(x); r[5] = pow(fabs(x), 2.5);
    r[6] = tanh(x); r[7] = cbrt(x); r[8] = atan2(x, 2.0); r[9] = erf(x); r[10] = fmod(x, 0.7); r[11] = lgamma(fabs(x) + 1);
}
extern "C" __global__ void mathematics_f(const float *a, float *o, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float x = a[i];
    float *r = o + 8 * i;
    r[0] = expf(x); r[1] = logf(fabsf(x)); r[2] = sinf(x * 1e5f); r[3] = cosf(x); r[4] = powf(fabsf(x), 2.5f);
    r[5] = tanhf(x); r[6] = x / 3.7f; r[7] = rsqrtf(fabsf(x));
}
struct Shape { virtual __device__ float area() const = 0; };
struct Square : Shape { float s; __device__ Square(float s) : s(s) {} __device__ float area() const override { return s * s; } };
struct Circle : Shape { float r; __device__ Circle(float r) : r(r) {} __device__ float area() const override { return 3 * r * r; } };
__device__ __noinline__ float measure(const Shape *s) { return s->area(); }
extern "C" __global__ void objects(float *o)
{ Square q(threadIdx.x); Circle c(threadIdx.x); const Shape *s = threadIdx.x % 2 ? (const Shape *)&q : &c; o[threadIdx.x] = measure(s); }
__device__ __noinline__ int ackermann(int m, int n)
{ return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1)); }
extern "C" __global__ void recursion(int *o) { o[threadIdx.x] = ackermann(2, threadIdx.x); }
extern "C" __global__ void integers(const long long *a, long long *o, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    long long x = a[i];
    int y = (int)x;
    long long r = x / 7 + x % 13 + (x >> 3) * 5 + __popcll(x) + __clzll(x) + __mul64hi(x, 12345678901234567LL);
    switch (y & 7) { case 0: r += 1; break; case 1: r *= 3; break; case 2: r ^= 77; break; case 5: r = -r; break; default: r += y; }
    o[i] = r + (unsigned)y / 10u + y / 100 + __brev(y) + __byte_perm(y, 0x12345678, 0x5140);
}
extern "C" __global__ void talk(int n) { printf("thread %d of %d: %5.2f %s\n", threadIdx.x, n, n / 3.0, "text"); }
__constant__ float weights[5] = {0.1f, 0.2f, 0.4f, 0.2f, 0.1f};
extern "C" __global__ void stencil(const float *a, float *o, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float s = 0;
    for (int k = -2; k <= 2; k++) { int j = i + k; if (j >= 0 && j < n) s += weights[k + 2] * a[j]; }
    if (i < n) o[i] = s;
}
"""


def compiler(major: int) -> ctypes.CDLL | None:
    """Return the NVRTC of a CUDA major version from its wheel; None where it is not installed."""
    for place in getattr(optional('nvidia'), '__path__', ()):
        for found in pathlib.Path(place).glob(f'*/lib/libnvrtc.so.{major}'):
            return ctypes.CDLL(str(found))
    return None


def compile_cuda(nvrtc: ctypes.CDLL, source: str, architecture: str) -> str:
    """PTX text; raises AssertionError with the compiler's log."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b'test.cu', 0, None, None)
    options = (ctypes.c_char_p * 1)(f'--gpu-architecture={architecture}'.encode())
    status = nvrtc.nvrtcCompileProgram(program, 1, options)
    kind = 'PTX' if status == 0 else 'ProgramLog'
    getattr(nvrtc, f'nvrtcGet{kind}Size')(program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    getattr(nvrtc, f'nvrtcGet{kind}')(program, text)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    assert status == 0, text.value.decode()
    return text.value.decode()


def trunc_div(a: int, b: int) -> int:
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


class NvrtcTest(unittest.TestCase):
    major, architecture = 13, 'compute_80'
    module: Module
    random: np.random.Generator

    @classmethod
    def setUpClass(cls) -> None:
        nvrtc = compiler(cls.major)
        if nvrtc is None:
            raise unittest.SkipTest(f'NVRTC {cls.major} is not installed')
        cls.module = Module(compile_cuda(nvrtc, SOURCE, cls.architecture))
        cls.random = np.random.default_rng(7)

    def test_saxpy(self) -> None:
        n = 10000
        x, y = (self.random.random(n, dtype=np.float32) for _ in range(2))
        out = Buffer(y)
        self.module.run('saxpy', (n + 255) // 256, 256, np.float32(2.5), Buffer(x), out, np.uint32(n))
        exact = (np.float64(2.5) * x + y).astype(np.float32)
        self.assertEqual(exact.tobytes(), out.array.tobytes(), 'one rounding: the compiler asked for fma')

    def test_tiled_matmul(self) -> None:
        n = 70
        a, b = (self.random.integers(-50, 50, (n, n)).astype(np.float64) for _ in range(2))
        out = Buffer(np.zeros((n, n)))
        self.module.run('matmul', (5, 5), (16, 16), Buffer(a), Buffer(b), out, np.uint32(n))
        self.assertTrue(np.array_equal(a @ b, out.array))

    def test_reductions(self) -> None:
        n = 50000
        whole = self.random.integers(0, 100, n)
        total = Buffer(np.zeros(1, np.float32))
        self.module.run('sum_shared', 196, 256, Buffer(whole.astype(np.float32)), total, np.uint32(n), shared=1024)
        self.assertEqual(whole.sum(), total.array[0])
        count = Buffer(np.zeros(1, np.int32))
        self.module.run('sum_shuffle', 196, 256, Buffer(whole.astype(np.int32)), count, np.uint32(n))
        self.assertEqual(whole.sum(), count.array[0])
        partial, result = Buffer(np.zeros(32, np.int32)), Buffer(np.zeros(1, np.int32))
        for _ in range(2):
            self.module.run('last_block', 20, 32, Buffer(whole.astype(np.int32)), partial, result, np.uint32(n))
            self.assertEqual(whole.sum(), result.array[0])

    def test_histogram(self) -> None:
        data = self.random.integers(0, 256, 30000, dtype=np.uint8)
        out = Buffer(np.zeros(256, np.uint32))
        self.module.run('histogram', 8, 128, Buffer(data), out, np.uint32(len(data)))
        self.assertTrue(np.array_equal(np.bincount(data, minlength=256), out.array))

    def test_spin_lock(self) -> None:
        out = Buffer(np.zeros(1, np.int32))
        self.module.run('locked', 8, 128, out)
        self.assertEqual(1024, out.array[0])

    def test_divergent_barriers(self) -> None:
        s = list(range(128))
        for _ in range(8):
            s = [(s[(t + 1) % 128] + t // 2) if t % 3 == 0 else s[(t + 127) % 128] * 3 if t % 3 == 1 else s[t] ^ 5
                 for t in range(128)]
        out = Buffer(np.zeros(128, np.int32))
        self.module.run('divergent', 1, 128, out)
        self.assertEqual(list(np.array(s, dtype=np.int64).astype(np.int32)), list(out.array))

    def test_double_functions(self) -> None:
        x = np.concatenate([self.random.normal(0, 3, 500), [1e-8, 1.0, -1.0, 30.0, 1e5]])
        out = Buffer(np.zeros((len(x), 12)))
        self.module.run('mathematics', 4, 128, Buffer(x), out, np.uint32(len(x)))
        functions: list[Callable[[float], float]] = [
            lambda v: math.exp(v) if v < 700 else math.inf, lambda v: math.log(abs(v)), lambda v: math.sin(v * 1000),
            math.cos, math.tan, lambda v: math.pow(abs(v), 2.5), math.tanh, np.cbrt, lambda v: math.atan2(v, 2.0), math.erf,
            lambda v: math.fmod(v, 0.7), lambda v: math.lgamma(abs(v) + 1)]
        for column, function in enumerate(functions):
            expected = np.array([function(float(v)) for v in x])
            np.testing.assert_allclose(out.array[:, column], expected, rtol=2e-14, atol=2e-15, err_msg=str(column))

    def test_single_functions(self) -> None:
        x = self.random.normal(0, 2, 500).astype(np.float32)
        out = Buffer(np.zeros((len(x), 8), np.float32))
        self.module.run('mathematics_f', 4, 128, Buffer(x), out, np.uint32(len(x)))
        wide = x.astype(np.float64)
        expected = [np.exp(wide), np.log(np.abs(wide)), np.sin((x * np.float32(1e5)).astype(np.float64)), np.cos(wide),
                    np.abs(wide) ** 2.5, np.tanh(wide), wide / np.float64(np.float32(3.7)), 1 / np.sqrt(np.abs(wide))]
        for column, values in enumerate(expected):
            np.testing.assert_allclose(out.array[:, column], values, rtol=1e-6, atol=1e-6, err_msg=str(column))

    def test_virtual_functions_and_recursion(self) -> None:
        areas = Buffer(np.zeros(40, np.float32))
        self.module.run('objects', 1, 40, areas)
        self.assertEqual([n * n * (1 if n % 2 else 3) for n in range(40)], list(areas.array))
        out = Buffer(np.zeros(20, np.int32))
        self.module.run('recursion', 1, 20, out)
        self.assertEqual([2 * n + 3 for n in range(20)], list(out.array))

    def test_integers(self) -> None:
        x = np.concatenate([self.random.integers(-2**62, 2**62, 300), self.random.integers(-1000, 1000, 100)])
        out = Buffer(np.zeros(len(x), np.int64))
        self.module.run('integers', 4, 128, Buffer(x), out, np.uint32(len(x)))
        for value, got in zip(x, out.array, strict=True):
            self.assertEqual(_integers(int(value)), int(got), value)

    def test_constants(self) -> None:
        a = self.random.integers(0, 100, 300).astype(np.float32)
        out = Buffer(np.zeros(300, np.float32))
        self.module.run('stencil', 3, 128, Buffer(a), out, np.uint32(300))
        expected = np.convolve(a, np.array([0.1, 0.2, 0.4, 0.2, 0.1]), 'same')
        np.testing.assert_allclose(out.array, expected, rtol=1e-5)

    def test_printf(self) -> None:
        self.module.run('talk', 1, 2, np.uint32(2))
        self.assertEqual(b'thread 0 of 2:  0.67 text\nthread 1 of 2:  0.67 text\n', printed())


def _integers(x: int) -> int:
    unsigned64, y = x % 2**64, (x + 2**31) % 2**32 - 2**31
    unsigned32 = y % 2**32
    r = trunc_div(x, 7) + (x - 13 * trunc_div(x, 13)) + (x >> 3) * 5 + unsigned64.bit_count() + (64 - unsigned64.bit_length())
    r += x * 12345678901234567 >> 64
    kind = y & 7
    r = {0: r + 1, 1: r * 3, 2: r ^ 77, 5: -r}.get(kind, r + y)
    data = (unsigned32 | 0x12345678 << 32).to_bytes(8, 'little')
    permuted = int.from_bytes(bytes(data[n] for n in (0, 4, 1, 5)), 'little')
    r += unsigned32 // 10 + trunc_div(y, 100) + int(f'{unsigned32:032b}'[::-1], 2) + permuted
    return (r + 2**63) % 2**64 - 2**63


class NvrtcOldTest(NvrtcTest):
    architecture = 'compute_75'


class NvrtcNewTest(NvrtcTest):
    architecture = 'compute_90'


class Nvrtc12OldestTest(NvrtcTest):
    """NVRTC 13 does not know this architecture any more."""

    major, architecture = 12, 'compute_52'


class Nvrtc12Test(NvrtcTest):
    major, architecture = 12, 'compute_70'


class Nvrtc12NewTest(NvrtcTest):
    major, architecture = 12, 'compute_90'


@unittest.skipIf(numba_cuda is None, 'needs numba-cuda')
class NumbaTest(unittest.TestCase):
    """Kernels as numba-cuda hands them to the driver: its own argument layout (pointer, size, shape, strides)."""

    def _compile(self, function: Callable[..., Any], signature: str) -> Module:
        arguments = sigutils.normalize_signature(signature)[0]
        text, _ = numba_cuda.compile(function, arguments, cc=(8, 6), device=False, abi='numba', output='ptx')
        self.name = next(line.split()[2].rstrip('(') for line in text.splitlines() if line.startswith('.visible .entry'))
        return Module(text)

    @staticmethod
    def _array(buffer: Buffer) -> list[int]:
        """A C-contiguous one-dimensional array: meminfo, parent, items, item size, data, shape, strides."""
        array = buffer.array
        return [0, 0, array.size, array.itemsize, buffer.address, *array.shape, *array.strides]

    def test_vector_add(self) -> None:
        def kernel(a: Any, b: Any, c: Any) -> None:
            i = numba_cuda.grid(1)
            if i < c.size:
                c[i] = a[i] + b[i]

        module = self._compile(kernel, 'void(float32[:], float32[:], float32[:])')
        a, b = (np.random.default_rng(n).random(1000, dtype=np.float32) for n in (1, 2))
        given = [Buffer(a), Buffer(b), Buffer(np.zeros(1000, np.float32))]
        module.run(self.name, 8, 128, *(word for buffer in given for word in self._array(buffer)))
        self.assertEqual((a + b).tobytes(), given[2].array.tobytes())

    def test_shared_memory_and_atomics(self) -> None:
        def kernel(a: Any, out: Any) -> None:
            shared = numba_cuda.shared.array(128, np.float64)
            t = numba_cuda.threadIdx.x
            i = numba_cuda.grid(1)
            shared[t] = a[i] if i < a.size else 0.0
            numba_cuda.syncthreads()
            k = 64
            while k > 0:
                if t < k:
                    shared[t] += shared[t + k]
                numba_cuda.syncthreads()
                k //= 2
            if t == 0:
                numba_cuda.atomic.add(out, 0, shared[0])

        module = self._compile(kernel, 'void(float64[:], float64[:])')
        given = [Buffer(np.arange(1000, dtype=np.float64)), Buffer(np.zeros(1))]
        module.run(self.name, 8, 128, *(word for buffer in given for word in self._array(buffer)))
        self.assertEqual(499500.0, given[1].array[0])
