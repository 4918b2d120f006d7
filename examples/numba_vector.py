# SPDX-License-Identifier: Apache-2.0
"""An ordinary numba-cuda program: nothing in it knows about accelpool.

Vector add, saxpy, a tiled matrix product (shared memory and barriers) and a reduction (atomics),
each compared with NumPy.
"""

import sys
import warnings

import numpy as np
from numba import cuda, float32

TILE = 16
warnings.simplefilter('ignore')  # numba's advice on how to fill a larger device


@cuda.jit
def vector_add(a, b, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = a[i] + b[i]


@cuda.jit
def saxpy(alpha, x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = alpha * x[i] + y[i]


@cuda.jit
def matmul(a, b, c):
    tile_a = cuda.shared.array((TILE, TILE), float32)
    tile_b = cuda.shared.array((TILE, TILE), float32)
    row, column = cuda.grid(2)
    ty, tx = cuda.threadIdx.x, cuda.threadIdx.y
    total = float32(0)
    for start in range(0, a.shape[1], TILE):
        tile_a[ty, tx] = a[row, start + tx]
        tile_b[ty, tx] = b[start + ty, column]
        cuda.syncthreads()
        for k in range(TILE):
            total += tile_a[ty, k] * tile_b[k, tx]
        cuda.syncthreads()
    c[row, column] = total


@cuda.jit
def total(values, out):
    partial = cuda.shared.array(1, float32)
    if cuda.threadIdx.x == 0:
        partial[0] = 0
    cuda.syncthreads()
    i = cuda.grid(1)
    if i < values.size:
        cuda.atomic.add(partial, 0, values[i])
    cuda.syncthreads()
    if cuda.threadIdx.x == 0:
        cuda.atomic.add(out, 0, partial[0])


def main() -> int:
    device = cuda.get_current_device()
    _, memory = cuda.current_context().get_memory_info()
    print(f'device: {device.name.decode() if isinstance(device.name, bytes) else device.name}')
    print(f'memory: {memory // 2**20} MiB')

    random = np.random.default_rng(42)
    n = 100_000
    blocks = (n + 255) // 256
    a, b = (random.random(n, dtype=np.float32) for _ in range(2))
    good = True

    def report(name: str, equal: bool) -> None:
        nonlocal good
        good &= bool(equal)
        print(f'{name}: {"ok" if equal else "WRONG"}')

    out = cuda.device_array_like(a)
    vector_add[blocks, 256](cuda.to_device(a), cuda.to_device(b), out)
    report('vector add', np.array_equal(out.copy_to_host(), a + b))

    y = cuda.to_device(b)
    saxpy[blocks, 256](np.float32(2.5), cuda.to_device(a), y)
    report('saxpy', np.allclose(y.copy_to_host(), 2.5 * a + b, rtol=1e-6))

    m, k = (random.random((64, 64), dtype=np.float32) for _ in range(2))
    product = cuda.device_array((64, 64), dtype=np.float32)
    matmul[(4, 4), (TILE, TILE)](cuda.to_device(m), cuda.to_device(k), product)
    report('matmul', np.allclose(product.copy_to_host(), m @ k, rtol=1e-4))

    result = cuda.to_device(np.zeros(1, dtype=np.float32))
    total[blocks, 256](cuda.to_device(a), result)
    report('reduction', np.allclose(result.copy_to_host()[0], a.sum(dtype=np.float64), rtol=1e-4))
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
