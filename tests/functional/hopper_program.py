# SPDX-License-Identifier: Apache-2.0
"""A program for compute capability 9.0; tests/native/hopper_vendor.h is what answers it."""

import ctypes
import sys
from collections.abc import Sequence

from tests.functional.driver_api import INVALID_HANDLE, INVALID_VALUE, call, expect, kernel, load, start

INVALID_CLUSTER_SIZE = 912


class Map(ctypes.Structure):
    _fields_ = (('opaque', ctypes.c_uint64 * 16),)


def aligned(count: int) -> list[Map]:
    """CUtensorMap objects: at multiples of 128 bytes."""
    room = (ctypes.c_uint8 * (128 * (count + 1)))()
    first = -ctypes.addressof(room) % 128
    maps = [Map.from_buffer(room, first + 128 * i) for i in range(count)]
    return maps


def longs(values: Sequence[int]) -> 'ctypes.Array[ctypes.c_uint64]':
    return (ctypes.c_uint64 * len(values))(*values)


def words(values: Sequence[int]) -> 'ctypes.Array[ctypes.c_int32]':
    return (ctypes.c_int32 * len(values))(*values)


def tiled(result: int, to: Map, *, kind: int = 6, rank: int = 3, address: int = 1 << 45, dimensions: Sequence[int] = (64, 32, 8),
          strides: Sequence[int] = (128, 4096), box: Sequence[int] = (16, 8, 2), steps: Sequence[int] = (1, 1, 2),
          modes: Sequence[int] = (0, 3, 2, 1)) -> bytes:
    expect(result, 'cuTensorMapEncodeTiled', ctypes.byref(to), kind, rank, ctypes.c_void_p(address), longs(dimensions),
           longs(strides), words(box), words(steps), *modes)
    return bytes(to)


def im2col(result: int, to: Map, *, rank: int = 4, lower: Sequence[int] = (-1, 2), upper: Sequence[int] = (3, -4),
           channels: int = 32, pixels: int = 128) -> bytes:
    expect(result, 'cuTensorMapEncodeIm2col', ctypes.byref(to), 6, rank, ctypes.c_void_p(1 << 45), longs((64, 32, 8, 4)),
           longs((128, 4096, 32768)), words(lower), words(upper), channels, pixels, words((1, 1, 1, 1)), 0, 0, 0, 0)
    return bytes(to)


def tensor_maps() -> None:
    """Every argument arrives; what would make the library read past an array is refused."""
    start()
    map_, other = aligned(2)
    value = ctypes.c_int()
    for attribute in (120, 127):
        call('cuDeviceGetAttribute', ctypes.byref(value), attribute, 0)
        assert value.value == 1
    first = tiled(0, map_)
    found = {first, tiled(0, map_, kind=9), tiled(0, map_, rank=2), tiled(0, map_, address=1 << 44),
             tiled(0, map_, dimensions=(64, 32, 9)), tiled(0, map_, strides=(128, 8192)), tiled(0, map_, box=(16, 8, 3)),
             tiled(0, map_, steps=(1, 1, 3)), *(tiled(0, map_, modes=modes) for modes in ((1, 3, 2, 1), (0, 2, 2, 1), (0, 3, 1, 1), (0, 3, 2, 0)))}
    assert len(found) == 12, len(found)
    tiled(0, map_, rank=5, dimensions=(8,) * 5, strides=(128,) * 4, box=(8,) * 5, steps=(1,) * 5)
    tiled(0, map_, rank=1)
    for rank in (0, 6, 2**31):
        tiled(INVALID_VALUE, map_, rank=rank)
    tiled(INVALID_VALUE, map_, address=8)
    tiled(INVALID_VALUE, map_, box=(257, 1, 1))
    tiled(INVALID_VALUE, Map.from_address(ctypes.addressof(map_) + 8))
    expect(INVALID_VALUE, 'cuTensorMapEncodeTiled', ctypes.byref(map_), 6, 2, None, None, longs((128,)), words((1, 1)),
           words((1, 1)), 0, 0, 0, 0)

    tiled(0, other, address=1 << 46)
    call('cuTensorMapReplaceAddress', ctypes.byref(other), ctypes.c_void_p(1 << 45))
    assert bytes(other) == first
    expect(INVALID_VALUE, 'cuTensorMapReplaceAddress', ctypes.byref(other), ctypes.c_void_p(1))
    expect(INVALID_VALUE, 'cuTensorMapReplaceAddress', None, None)

    found = {im2col(0, map_), im2col(0, map_, lower=(-1, 3)), im2col(0, map_, upper=(4, -4)), im2col(0, map_, channels=64),
             im2col(0, map_, pixels=64), im2col(0, map_, rank=3)}
    assert len(found) == 6
    im2col(INVALID_VALUE, map_, rank=2)
    im2col(INVALID_VALUE, map_, rank=6)


class Attribute(ctypes.Structure):
    _fields_ = (('id', ctypes.c_int), ('pad', ctypes.c_int), ('value', ctypes.c_uint * 16))


class Config(ctypes.Structure):
    _fields_ = (('grid', ctypes.c_uint * 3), ('block', ctypes.c_uint * 3), ('shared', ctypes.c_uint), ('stream', ctypes.c_void_p),
                ('attributes', ctypes.c_void_p), ('count', ctypes.c_uint))


def clusters() -> None:
    start()
    sys.path.insert(0, 'examples')
    from share import PTX
    # Of so many kernels each is told when it is used.
    others = ''.join(f'.visible .entry other{number}() {{ ret; }}\n' for number in range(40))
    work = kernel(load((PTX + others).encode()), 'work')
    value = ctypes.c_int()
    attribute = Attribute(4)
    config = Config((16, 1, 1), (64, 1, 1), attributes=ctypes.addressof(attribute), count=1)
    for size, most in ((1, 64), (2, 32), (8, 8)):
        attribute.value[:3] = size, 1, 1
        call('cuOccupancyMaxActiveClusters', ctypes.byref(value), work, ctypes.byref(config))
        assert value.value == most, (size, value.value)
    attribute.value[:3] = 3, 1, 1
    expect(INVALID_CLUSTER_SIZE, 'cuOccupancyMaxActiveClusters', ctypes.byref(value), work, ctypes.byref(config))
    expect(INVALID_HANDLE, 'cuOccupancyMaxActiveClusters', ctypes.byref(value), None, ctypes.byref(config))
    expect(INVALID_VALUE, 'cuOccupancyMaxActiveClusters', None, work, ctypes.byref(config))
    for shared, size in ((0, 8), (40000, 4)):
        config.shared = shared
        call('cuOccupancyMaxPotentialClusterSize', ctypes.byref(value), work, ctypes.byref(config))
        assert value.value == size, (shared, value.value)


if __name__ == '__main__':
    globals()[sys.argv[1]]()
