# SPDX-License-Identifier: Apache-2.0
"""The CUDA driver API through ctypes, for programs that say which error they expect."""

import ctypes
import threading
from collections.abc import Callable
from ctypes import c_size_t as Size
from ctypes import c_uint64 as Pointer
from ctypes import c_void_p as Handle

INVALID_VALUE, OUT_OF_MEMORY, NOT_INITIALIZED, NO_DEVICE, INVALID_DEVICE = 1, 2, 3, 100, 101
INVALID_IMAGE, INVALID_CONTEXT, INVALID_PTX, INVALID_HANDLE, NOT_FOUND = 200, 201, 218, 400, 500
LAUNCH_OUT_OF_RESOURCES, CONTEXT_IS_DESTROYED, NOT_SUPPORTED = 701, 709, 801
NOT_READY, ILLEGAL_ADDRESS = 600, 700
MIB = 1 << 20

PTX = b'''.version 7.0
.target sm_52
.address_size 64
.visible .global .align 4 .u32 counter = 5;
.visible .entry fill(.param .u64 out, .param .u8 gap, .param .u32 value, .param .u32 count)
{
    .reg .pred %p;
    .reg .b32 %r<6>;
    .reg .b64 %d<4>;
    mov.u32 %r1, %ctaid.x;
    mov.u32 %r2, %ntid.x;
    mov.u32 %r3, %tid.x;
    mad.lo.s32 %r1, %r1, %r2, %r3;
    ld.param.u32 %r4, [count];
    setp.ge.u32 %p, %r1, %r4;
    @%p bra done;
    ld.param.u64 %d1, [out];
    ld.param.u32 %r5, [value];
    cvta.to.global.u64 %d1, %d1;
    mul.wide.u32 %d2, %r1, 4;
    add.s64 %d3, %d1, %d2;
    add.u32 %r5, %r5, %r1;
    st.global.u32 [%d3], %r5;
done:
    ret;
}
.visible .entry small() .maxntid 64, 1, 1
{
    ret;
}
.visible .entry await_flag(.param .u64 flag)
{
    .reg .pred %p;
    .reg .b32 %r<2>;
    .reg .b64 %d<2>;
    ld.param.u64 %d1, [flag];
again:
    ld.volatile.global.u32 %r1, [%d1];
    setp.eq.u32 %p, %r1, 0;
    @%p bra again;
    st.global.u32 [%d1+4], %r1;
    ret;
}
'''

library = ctypes.CDLL('libcuda.so.1')


def expect(error: int, function: str, *arguments: object) -> None:
    """Call a driver function that must return ``error``."""
    code = getattr(library, function)(*arguments)
    assert code == error, f'{function} returned {code} and not {error}'


def call(function: str, *arguments: object) -> None:
    expect(0, function, *arguments)


def start() -> Handle:
    context = Handle()
    call('cuInit', 0)
    call('cuDevicePrimaryCtxRetain', ctypes.byref(context), 0)
    call('cuCtxSetCurrent', context)
    return context


def allocate(size: int) -> Pointer:
    pointer = Pointer()
    call('cuMemAlloc_v2', ctypes.byref(pointer), Size(size))
    return pointer


def read(pointer: int, size: int) -> bytes:
    data = ctypes.create_string_buffer(size)
    call('cuMemcpyDtoH_v2', data, Pointer(pointer), Size(size))
    return data.raw


def load(image: bytes = PTX) -> Handle:
    module = Handle()
    call('cuModuleLoadData', ctypes.byref(module), image)
    return module


def kernel(module: Handle, name: str) -> Handle:
    function = Handle()
    call('cuModuleGetFunction', ctypes.byref(function), module, name.encode())
    return function


def parameters(*values: 'ctypes._SimpleCData[int]') -> 'ctypes.Array[ctypes.c_void_p]':
    return (ctypes.c_void_p * max(1, len(values)))(*(ctypes.addressof(v) for v in values))


def launch(error: int, function: Handle | None, grid: tuple[int, ...], block: tuple[int, ...], *values: object,
           shared: int = 0, stream: Handle | None = None) -> None:
    packed = parameters(*values) if values else None   # type: ignore[arg-type]
    expect(error, 'cuLaunchKernel', function, *grid, *block, shared, stream, packed, None)


def fill(function: Handle, count: int = 1000) -> None:
    """Launch the kernel of that name and look at what it wrote."""
    out = allocate(4 * count)
    launch(0, function, ((count + 127) // 128, 1, 1), (128, 1, 1), out, ctypes.c_ubyte(9), ctypes.c_uint(100),
           ctypes.c_uint(count))
    assert read(out.value, 4 * count) == b''.join((100 + i).to_bytes(4, 'little') for i in range(count))
    call('cuMemFree_v2', out)


def in_thread(*targets: Callable[[], None]) -> None:
    failures: list[BaseException] = []

    def run(target: Callable[[], None]) -> None:
        try:
            target()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
