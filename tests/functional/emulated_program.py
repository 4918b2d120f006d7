# SPDX-License-Identifier: Apache-2.0
"""Unmodified numba-cuda against the emulated CUDA library itself (no remoting): what test_emulated_cuda.py starts.

Prints one line for each thing it finds wrong and exits 1, or prints ``all right``.
"""

import math
import sys

import numpy as np
from numba import cuda, float32, float64, int32

TILE = 8
wrong: list[str] = []


def check(name: str, good: object) -> None:
    if not good:
        wrong.append(name)
        print(f'{name}: WRONG')


@cuda.jit
def add(a, b, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = a[i] + b[i]


@cuda.jit
def scale_2d(values, factor):
    row, column = cuda.grid(2)
    if row < values.shape[0] and column < values.shape[1]:
        values[row, column] *= factor


@cuda.jit
def matmul(a, b, c):
    left = cuda.shared.array((TILE, TILE), float64)
    right = cuda.shared.array((TILE, TILE), float64)
    row, column = cuda.grid(2)
    ty, tx = cuda.threadIdx.x, cuda.threadIdx.y
    total = float64(0)
    for start in range(0, a.shape[1], TILE):
        left[ty, tx] = a[row, start + tx]
        right[ty, tx] = b[start + ty, column]
        cuda.syncthreads()
        for k in range(TILE):
            total += left[ty, k] * right[k, tx]
        cuda.syncthreads()
    c[row, column] = total


@cuda.jit
def histogram(values, bins):
    i = cuda.grid(1)
    if i < values.size:
        cuda.atomic.add(bins, values[i], 1)


@cuda.jit
def warp_sums(values, out):
    i = cuda.grid(1)
    value = values[i]
    for offset in (16, 8, 4, 2, 1):
        value += cuda.shfl_down_sync(0xFFFFFFFF, value, offset)
    if i % 32 == 0:
        out[i // 32] = value


@cuda.jit
def dynamic_reverse(values):
    room = cuda.shared.array(0, int32)
    i = cuda.threadIdx.x
    room[i] = values[i]
    cuda.syncthreads()
    values[i] = room[cuda.blockDim.x - 1 - i]


@cuda.jit
def elementary(x, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i] = math.sin(x[i]) + math.exp(-x[i]) * math.sqrt(x[i]) + x[i] ** float32(1.5)


def kernels() -> None:
    random = np.random.default_rng(7)
    a, b = random.random(10_001), random.random(10_001)
    out = cuda.device_array_like(a)
    add[(a.size + 127) // 128, 128](cuda.to_device(a), cuda.to_device(b), out)
    check('add', np.array_equal(out.copy_to_host(), a + b))

    grid = random.random((37, 53), dtype=np.float32)
    device = cuda.to_device(grid)
    scale_2d[(5, 7), (8, 8)](device, np.float32(3))
    check('scale_2d', np.array_equal(device.copy_to_host(), grid * np.float32(3)))

    m, k = random.random((64, 40)), random.random((40, 48))
    product = cuda.device_array((64, 48))
    matmul[(8, 6), (TILE, TILE)](cuda.to_device(m), cuda.to_device(k), product)
    check('matmul', np.allclose(product.copy_to_host(), m @ k, rtol=1e-12))

    values = random.integers(0, 10, 5000).astype(np.int32)
    bins = cuda.to_device(np.zeros(10, dtype=np.int32))
    histogram[20, 256](cuda.to_device(values), bins)
    check('histogram', np.array_equal(bins.copy_to_host(), np.bincount(values, minlength=10)))

    numbers = random.integers(-1000, 1000, 1024).astype(np.int32)
    sums = cuda.device_array(32, dtype=np.int32)
    warp_sums[4, 256](cuda.to_device(numbers), sums)
    check('warp_sums', np.array_equal(sums.copy_to_host(), numbers.reshape(32, 32).sum(axis=1)))

    line = cuda.to_device(np.arange(200, dtype=np.int32))
    dynamic_reverse[1, 200, 0, 800](line)
    check('dynamic shared memory', np.array_equal(line.copy_to_host(), np.arange(200)[::-1]))

    x = random.random(3000, dtype=np.float32)
    y = cuda.device_array_like(x)
    elementary[12, 256](cuda.to_device(x), y)
    check('elementary functions', np.allclose(y.copy_to_host(), np.sin(x) + np.exp(-x) * np.sqrt(x) + x**1.5, rtol=1e-5))


def streams() -> None:
    n = 50_000
    host = cuda.pinned_array(n, dtype=np.float32)
    host[:] = 1
    one, two = cuda.stream(), cuda.stream()
    start, end = cuda.event(), cuda.event()
    start.record(one)
    device = cuda.to_device(host, stream=one)
    for _ in range(5):
        add[200, 256, one](device, device, device)
    end.record(one)
    end.wait(two)
    back = cuda.pinned_array(n, dtype=np.float32)
    device.copy_to_host(back, stream=two)
    two.synchronize()
    check('streams and events', np.all(back == 32))
    check('elapsed time', cuda.event_elapsed_time(start, end) > 0)

    mapped = cuda.mapped_array(100, dtype=np.float64)
    mapped[:] = 2
    add[1, 128](mapped, mapped, mapped)
    cuda.synchronize()
    check('mapped host memory', np.all(mapped == 4))


def limits() -> None:
    device = cuda.get_current_device()
    check('name', device.name in ('Emulated T1', b'Emulated T1'))
    check('compute capability', device.compute_capability == (8, 6))
    free, total = cuda.current_context().get_memory_info()
    check('memory', total == 256 << 20 and 0 < free <= total)
    try:
        cuda.device_array(300 << 20, dtype=np.uint8)
        check('out of memory', False)
    except cuda.cudadrv.driver.CudaAPIError as error:
        check('out of memory', 'OUT_OF_MEMORY' in str(error))
    whole = [cuda.device_array(32 << 20, dtype=np.uint8) for _ in range(7)]
    del whole
    view = cuda.device_array(256, dtype=np.uint8)
    check('memory is reused', view.size == 256)


def main() -> int:
    kernels()
    streams()
    limits()
    print('all right' if not wrong else f'{len(wrong)} wrong')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
