# SPDX-License-Identifier: Apache-2.0
"""Programs on the CUDA driver API, as users write them: ``python -m tests.functional.client_program SCENARIO``.

Each is a process of its own, because a driver library has one state per process.  test_client.py runs them.
"""

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from ctypes import c_int as Int
from ctypes import c_size_t as Size
from ctypes import c_uint64 as Pointer
from ctypes import c_void_p as Handle

from tests.functional.driver_api import (
    CONTEXT_IS_DESTROYED,
    ILLEGAL_ADDRESS,
    INVALID_CONTEXT,
    INVALID_DEVICE,
    INVALID_HANDLE,
    INVALID_IMAGE,
    INVALID_PTX,
    INVALID_VALUE,
    LAUNCH_OUT_OF_RESOURCES,
    MIB,
    NO_DEVICE,
    NOT_FOUND,
    NOT_INITIALIZED,
    NOT_READY,
    NOT_SUPPORTED,
    OUT_OF_MEMORY,
    PTX,
    allocate,
    call,
    expect,
    fill,
    in_thread,
    kernel,
    launch,
    library,
    load,
    parameters,
    read,
    start,
)

# --- scenarios ---

def device() -> None:
    count, value, size = Int(), Int(), Size()
    expect(NOT_INITIALIZED, 'cuDeviceGetCount', ctypes.byref(count))
    expect(INVALID_VALUE, 'cuInit', 1)
    call('cuInit', 0)
    call('cuDeviceGetCount', ctypes.byref(count))
    assert count.value == 1
    expect(INVALID_DEVICE, 'cuDeviceGet', ctypes.byref(value), 1)
    expect(INVALID_DEVICE, 'cuDeviceGet', ctypes.byref(value), -1)
    name = ctypes.create_string_buffer(9)
    call('cuDeviceGetName', name, 9, 0)
    assert name.value == b'loop-bac', name.value
    call('cuDeviceTotalMem_v2', ctypes.byref(size), 0)
    assert size.value == 512 * MIB
    uuid = ctypes.create_string_buffer(16)
    call('cuDeviceGetUuid_v2', uuid, 0)
    assert uuid.raw.hex() == '00112233445566778899aabbccddeeff'
    call('cuDeviceGetPCIBusId', name, 9, 0)
    call('cuDeviceGetByPCIBusId', ctypes.byref(value), b'0000:01:00.0')
    assert value.value == 0
    expect(INVALID_DEVICE, 'cuDeviceGetByPCIBusId', ctypes.byref(value), b'0000:02:00.0')
    call('cuDeviceGetAttribute', ctypes.byref(value), 10, 0)
    assert value.value == 32
    call('cuDeviceGetAttribute', ctypes.byref(value), 83, 0)
    assert value.value == 0, 'managed memory is not carried'
    for unknown in (0, -1, 100000):
        expect(INVALID_VALUE, 'cuDeviceGetAttribute', ctypes.byref(value), unknown, 0)


def context() -> None:
    current, other, value = Handle(), Handle(), Int()
    call('cuInit', 0)
    expect(INVALID_CONTEXT, 'cuCtxSynchronize')
    expect(INVALID_CONTEXT, 'cuCtxGetDevice', ctypes.byref(value))
    expect(INVALID_CONTEXT, 'cuCtxPopCurrent_v2', ctypes.byref(current))
    expect(INVALID_CONTEXT, 'cuCtxPushCurrent_v2', Handle(0x1234))
    expect(INVALID_CONTEXT, 'cuDevicePrimaryCtxRelease_v2', 0)
    primary = start()
    call('cuCtxGetCurrent', ctypes.byref(current))
    assert current.value == primary.value
    call('cuCtxCreate_v2', ctypes.byref(other), 0, 0)
    assert other.value != primary.value
    call('cuCtxGetCurrent', ctypes.byref(current))
    assert current.value == other.value
    call('cuCtxSynchronize')
    call('cuCtxDestroy_v2', other)
    call('cuCtxGetCurrent', ctypes.byref(current))
    assert current.value == primary.value
    expect(CONTEXT_IS_DESTROYED, 'cuCtxSetCurrent', other)

    def elsewhere() -> None:
        expect(INVALID_CONTEXT, 'cuCtxSynchronize')   # current is a matter of the thread
        call('cuCtxPushCurrent_v2', primary)
        call('cuCtxSynchronize')
        call('cuCtxPopCurrent_v2', None)

    in_thread(elsewhere)


def memory() -> None:
    start()
    pointer, free, total = Pointer(), Size(), Size()
    expect(INVALID_VALUE, 'cuMemAlloc_v2', ctypes.byref(pointer), Size(0))
    a, b = allocate(MIB), allocate(1000)
    call('cuMemsetD32_v2', a, ctypes.c_uint(0xdeadbeef), Size(MIB // 4))
    assert read(a.value, MIB) == bytes.fromhex('efbeadde') * (MIB // 4)
    call('cuMemsetD2D8_v2', a, Size(64), ctypes.c_ubyte(1), Size(16), Size(4))
    assert read(a.value, 256) == 4 * (16 * b'\1' + 12 * bytes.fromhex('efbeadde'))
    expect(INVALID_VALUE, 'cuMemsetD32_v2', Pointer(a.value + 2), ctypes.c_uint(0), Size(1))
    expect(INVALID_VALUE, 'cuMemsetD8_v2', a, ctypes.c_ubyte(0), Size(MIB + 257))
    expect(INVALID_VALUE, 'cuMemsetD32_v2', a, ctypes.c_uint(0), Size(1 << 62))
    expect(INVALID_VALUE, 'cuMemsetD8_v2', Pointer(4096), ctypes.c_ubyte(0), Size(1))
    call('cuMemsetD8_v2', a, ctypes.c_ubyte(0), Size(0))
    call('cuMemGetInfo_v2', ctypes.byref(free), ctypes.byref(total))
    assert total.value == 512 * MIB and total.value - free.value == MIB + 1024, total.value - free.value
    call('cuMemFree_v2', a)
    expect(INVALID_VALUE, 'cuMemFree_v2', a)
    expect(INVALID_VALUE, 'cuMemFree_v2', Pointer(b.value + 256))
    call('cuMemFree_v2', b)
    call('cuMemFree_v2', Pointer(0))


def cap() -> None:
    """The slice is there to its last 256 bytes, again and again, in any mix."""
    start()
    pointer = Pointer()
    for size in (MIB, 3 * MIB + 256, 512 * MIB, 100000, 256 << 10):
        pointers = []
        left = 512 * MIB
        while left:
            part = min(size, left)
            pointers.append(allocate(part))
            left -= (part + 255) // 256 * 256
        expect(OUT_OF_MEMORY, 'cuMemAlloc_v2', ctypes.byref(pointer), Size(1))
        for one in pointers[::2] + pointers[1::2]:
            call('cuMemFree_v2', one)


def copies() -> None:
    start()
    for size in (1, 255, 4096, 64 << 10, (64 << 10) + 1, 3 * MIB + 17):
        data = os.urandom(size)
        a, b = allocate(size), allocate(size)
        call('cuMemcpyHtoD_v2', a, data, Size(size))
        call('cuMemcpyDtoD_v2', b, a, Size(size))
        assert read(b.value, size) == data
        assert read(b.value + size // 2, size - size // 2) == data[size // 2:]
        expect(INVALID_VALUE, 'cuMemcpyHtoD_v2', Pointer(a.value + 256), data, Size(size + 256))
        expect(INVALID_VALUE, 'cuMemcpyHtoD_v2', a, None, Size(size))
        buffer = ctypes.create_string_buffer(data, size)
        call('cuMemcpyHtoDAsync_v2', a, buffer, Size(size), None)
        ctypes.memset(buffer, 0, size)           # pageable: it was taken before the call returned
        assert read(a.value, size) == data
        buffer = ctypes.create_string_buffer(size)
        call('cuMemcpy', Pointer(ctypes.addressof(buffer)), a, Size(size))
        assert buffer.raw == data
    call('cuMemcpyHtoD_v2', allocate(16), None, Size(0))


def streams() -> None:
    start()
    stream, event, second, value = Handle(), Handle(), Handle(), Int()
    milliseconds = ctypes.c_float()
    expect(INVALID_VALUE, 'cuStreamCreate', None, 0)
    expect(INVALID_VALUE, 'cuStreamCreate', ctypes.byref(stream), 2)
    call('cuStreamCreate', ctypes.byref(stream), 1)
    call('cuStreamGetFlags', stream, ctypes.byref(value))
    assert value.value == 1
    call('cuEventCreate', ctypes.byref(event), 0)
    call('cuEventCreate', ctypes.byref(second), 0)
    pointer = allocate(MIB)
    call('cuEventRecord', event, stream)
    call('cuMemsetD8Async', pointer, ctypes.c_ubyte(1), Size(MIB), stream)
    call('cuEventRecord', second, stream)
    call('cuStreamWaitEvent', None, second, 0)
    call('cuEventSynchronize', second)
    call('cuEventQuery', second)
    call('cuEventElapsedTime_v2', ctypes.byref(milliseconds), event, second)
    assert milliseconds.value >= 0
    call('cuStreamSynchronize', stream)
    call('cuStreamQuery', stream)
    call('cuStreamDestroy_v2', stream)
    for wrong in (stream, Handle(0x1234), Handle(2 ** 64 - 1), event):
        expect(INVALID_HANDLE, 'cuStreamSynchronize', wrong)
        expect(INVALID_HANDLE, 'cuMemsetD8Async', pointer, ctypes.c_ubyte(1), Size(1), wrong)
    expect(INVALID_HANDLE, 'cuStreamDestroy_v2', None)
    expect(INVALID_HANDLE, 'cuEventRecord', stream, None)
    call('cuEventDestroy_v2', event)
    expect(INVALID_HANDLE, 'cuEventDestroy_v2', event)
    call('cuStreamSynchronize', None)
    call('cuStreamSynchronize', Handle(2))


def own_streams() -> None:
    """CU_STREAM_PER_THREAD: one thread's work is waited for by that thread's calls, and by nobody else's."""
    primary, own, stream, second = start(), Handle(2), Handle(), ctypes.c_ulonglong()
    await_flag, flag = kernel(load(), 'await_flag'), allocate(8)
    call('cuMemsetD8_v2', flag, ctypes.c_ubyte(0), Size(8))
    call('cuStreamCreate', ctypes.byref(stream), 1)

    def raise_flag() -> None:
        call('cuCtxSetCurrent', primary)
        call('cuStreamQuery', own)
        call('cuStreamSynchronize', own)
        call('cuStreamGetId', own, ctypes.byref(second))
        time.sleep(0.3)                          # meanwhile the first thread waits
        call('cuMemcpyHtoDAsync_v2', flag, b'\7\0\0\0', Size(4), stream)

    for wait in ('copy', 'synchronize'):
        call('cuMemsetD8Async_ptsz', flag, ctypes.c_ubyte(0), Size(8), None)
        call('cuLaunchKernel_ptsz', await_flag, 1, 1, 1, 1, 1, 1, 0, None, parameters(flag), None)
        expect(NOT_READY, 'cuStreamQuery', own)
        data = ctypes.create_string_buffer(4)
        thread = threading.Thread(target=raise_flag)
        thread.start()
        if wait == 'synchronize':
            call('cuStreamSynchronize', own)
            call('cuMemcpyDtoHAsync_v2', data, Pointer(flag.value + 4), Size(4), stream)
        else:
            call('cuMemcpyDtoHAsync_v2', data, Pointer(flag.value + 4), Size(4), own)
        thread.join()
        assert data.raw == b'\7\0\0\0', (wait, data.raw)
    mine = ctypes.c_ulonglong()
    call('cuStreamGetId', own, ctypes.byref(mine))
    assert mine.value != second.value
    expect(INVALID_HANDLE, 'cuStreamDestroy_v2', own)
    call('cuDevicePrimaryCtxReset_v2', 0)
    call('cuStreamSynchronize', own)             # a new one


def modules() -> None:
    start()
    module, function, value, size, address = Handle(), Handle(), Int(), Size(), Pointer()
    log = ctypes.create_string_buffer(4096)
    options = (Int * 2)(5, 6)                    # error log, its size
    values = (ctypes.c_void_p * 2)(ctypes.addressof(log), 4096)
    expect(INVALID_PTX, 'cuModuleLoadDataEx', ctypes.byref(module),
           b'.version 7.0\n.target sm_52\n.address_size 64\n.entry k() { nonsense.u32 %r1; }', 2, options, values)
    assert b'nonsense' in log.value, log.value
    assert values[1] == len(log.value)
    expect(INVALID_IMAGE, 'cuModuleLoadData', ctypes.byref(module), b'\x01\x02\x03\x04')
    expect(INVALID_VALUE, 'cuModuleLoadData', ctypes.byref(module), None)
    module = load()
    load()                                       # the same content again: nothing is uploaded
    expect(NOT_FOUND, 'cuModuleGetFunction', ctypes.byref(function), module, b'no_such_kernel')
    expect(INVALID_HANDLE, 'cuModuleGetFunction', ctypes.byref(function), Handle(4711), b'fill')
    function = kernel(module, 'fill')
    offsets = []
    for index in range(4):
        offset = Size()
        call('cuFuncGetParamInfo', function, Size(index), ctypes.byref(offset), ctypes.byref(size))
        offsets.append((offset.value, size.value))
    assert offsets == [(0, 8), (8, 1), (12, 4), (16, 4)], offsets
    expect(INVALID_VALUE, 'cuFuncGetParamInfo', function, Size(4), ctypes.byref(size), ctypes.byref(size))
    call('cuFuncGetAttribute', ctypes.byref(value), 0, kernel(module, 'small'))
    assert value.value == 64, value.value
    call('cuModuleGetGlobal_v2', ctypes.byref(address), ctypes.byref(size), module, b'counter')
    assert size.value == 4
    assert read(address.value, 4) == b'\5\0\0\0'
    call('cuMemcpyHtoD_v2', address, b'\7\0\0\0', Size(4))
    assert read(address.value, 4) == b'\7\0\0\0'
    expect(INVALID_VALUE, 'cuMemcpyHtoD_v2', address, b'12345', Size(5))
    call('cuModuleUnload', module)
    expect(INVALID_HANDLE, 'cuModuleUnload', module)
    launch(INVALID_HANDLE, function, (1, 1, 1), (1, 1, 1), ctypes.c_int())


def many_kernels() -> None:
    """Of a large module kernels are told when they are used."""
    context = start()
    module, state, size, value = Handle(), Int(), Size(), Int()
    text = PTX + b''.join(b'.visible .entry other%d() { ret; }\n' % number for number in range(40)) + b'\0'
    call('cuModuleLoadData', ctypes.byref(module), text)
    kernels = {name: kernel(module, name) for name in ('fill', 'small', 'other0', 'other1', 'other2')}

    def loaded() -> list[str]:
        found = []
        for name, function in kernels.items():
            call('cuFuncIsLoaded', ctypes.byref(state), function)
            found += [name] * state.value
        return found

    assert not loaded(), loaded()
    fill(kernels['fill'])
    launch(LAUNCH_OUT_OF_RESOURCES, kernels['small'], (1, 1, 1), (65, 1, 1))
    assert loaded() == ['fill', 'small'], loaded()
    call('cuFuncGetParamCount', kernels['other0'], ctypes.byref(size))
    assert size.value == 0
    call('cuOccupancyMaxActiveBlocksPerMultiprocessor', ctypes.byref(value), kernels['other1'], 32, Size(0))
    assert value.value > 0

    def launch_it() -> None:
        call('cuCtxSetCurrent', context)
        launch(0, kernels['other2'], (1, 1, 1), (1, 1, 1))

    in_thread(*[launch_it] * 8)
    assert loaded() == list(kernels), loaded()
    call('cuFuncLoad', kernel(module, 'other3'))
    call('cuModuleUnload', module)
    call('cuLibraryLoadData', ctypes.byref(module), text, None, None, 0, None, None, 0)
    function = Handle()
    call('cuLibraryGetKernel', ctypes.byref(function), module, b'fill')
    fill(function)


def link() -> None:
    start()
    state, cubin, size, library, function = Handle(), Handle(), Size(), Handle(), Handle()
    log = ctypes.create_string_buffer(4096)
    options = (Int * 2)(5, 6)
    values = (ctypes.c_void_p * 2)(ctypes.addressof(log), 4096)
    call('cuLinkCreate_v2', 2, options, values, ctypes.byref(state))
    bad = b'.version 7.0\n.target sm_52\n.address_size 64\n.entry k() { nonsense; }\0'
    expect(INVALID_VALUE, 'cuLinkAddData_v2', state, 1, None, Size(1), b'none.ptx', 0, None, None)
    call('cuLinkAddData_v2', state, 1, bad, Size(len(bad)), b'bad.ptx', 0, None, None)
    expect(INVALID_PTX, 'cuLinkComplete', state, ctypes.byref(cubin), ctypes.byref(size))
    assert b'nonsense' in log.value, log.value
    call('cuLinkDestroy', state)
    call('cuLinkCreate_v2', 0, None, None, ctypes.byref(state))
    call('cuLinkAddData_v2', state, 1, PTX, Size(len(PTX)), b'good.ptx', 0, None, None)   # not terminated
    call('cuLinkComplete', state, ctypes.byref(cubin), ctypes.byref(size))
    call('cuLibraryLoadData', ctypes.byref(library), cubin, None, None, 0, None, None, 0)
    call('cuLinkDestroy', state)
    expect(INVALID_HANDLE, 'cuLinkDestroy', state)
    call('cuLibraryGetKernel', ctypes.byref(function), library, b'fill')
    fill(function)
    call('cuLibraryUnload', library)
    expect(INVALID_HANDLE, 'cuLibraryUnload', library)


def launches() -> None:
    start()
    module = load()
    function, small = kernel(module, 'fill'), kernel(module, 'small')
    fill(function)
    out = allocate(4096)
    values = (out, ctypes.c_ubyte(), ctypes.c_uint(), ctypes.c_uint(1))
    one = (1, 1, 1)
    launch(INVALID_HANDLE, None, one, one, *values)
    launch(INVALID_HANDLE, Handle(4711), one, one, *values)
    launch(INVALID_VALUE, function, (0, 1, 1), one, *values)
    launch(INVALID_VALUE, function, one, (1, 0, 1), *values)
    launch(INVALID_VALUE, function, (1, 65536, 1), one, *values)
    launch(INVALID_VALUE, function, one, (1025, 1, 1), *values)
    launch(INVALID_VALUE, function, one, (32, 33, 1), *values)
    launch(INVALID_VALUE, function, one, (1, 1, 65), *values)
    launch(INVALID_VALUE, function, one, one, *values, shared=(48 << 10) + 1)
    launch(INVALID_VALUE, function, one, one)                  # parameters, and none given
    launch(LAUNCH_OUT_OF_RESOURCES, small, one, (65, 1, 1))
    launch(0, small, one, (64, 1, 1))
    launch(INVALID_HANDLE, function, one, one, *values, stream=Handle(77))
    packed = ctypes.create_string_buffer(out.value.to_bytes(8, 'little') + bytes(4) + b'\x2a\0\0\0\1\0\0\0')
    size = Size(20)
    extra = (ctypes.c_void_p * 5)(1, ctypes.addressof(packed), 2, ctypes.addressof(size), 0)
    expect(INVALID_VALUE, 'cuLaunchKernel', function, 1, 1, 1, 1, 1, 1, 0, None, parameters(*values), extra)
    call('cuLaunchKernel', function, 1, 1, 1, 1, 1, 1, 0, None, None, extra)
    assert read(out.value, 4) == b'\x2a\0\0\0'
    size.value = 16
    expect(INVALID_VALUE, 'cuLaunchKernel', function, 1, 1, 1, 1, 1, 1, 0, None, None, extra)
    call('cuCtxSynchronize')


PRINTING = b'''.version 7.0
.target sm_52
.address_size 64
.extern .func (.param .b32 r) vprintf (.param .b64 f, .param .b64 a);
.global .align 1 .b8 format[17] = {116,104,114,101,97,100,32,37,100,32,111,102,32,37,100,10,0};
.visible .entry talk(.param .u32 count)
{
    .local .align 8 .b8 depot[8];
    .reg .b32 %r<2>;
    .reg .b64 %p<3>;
    mov.u64 %p0, depot;
    cvta.local.u64 %p1, %p0;
    mov.u32 %r0, %tid.x;
    st.local.u32 [%p0], %r0;
    ld.param.u32 %r0, [count];
    st.local.u32 [%p0+4], %r0;
    mov.u64 %p2, format;
    cvta.global.u64 %p2, %p2;
    call (%r1), vprintf, (%p2, %p1);
    ret;
}
\0'''


def prints() -> None:
    """Print from kernels and, when something has waited for them, from here."""
    start()
    talk, out, event = kernel(load(PRINTING), 'talk'), allocate(4), Handle()
    call('cuEventCreate', ctypes.byref(event), 0)
    launch(0, talk, (1, 1, 1), (256, 1, 1), ctypes.c_uint(256))
    call('cuCtxSynchronize')
    print('synchronized', flush=True)
    launch(0, talk, (1, 1, 1), (1, 1, 1), ctypes.c_uint(1))
    read(out.value, 4)
    print('copied', flush=True)
    launch(0, talk, (1, 1, 1), (1, 1, 1), ctypes.c_uint(1))
    call('cuEventRecord', event, None)
    call('cuEventSynchronize', event)
    print('reached', flush=True)
    launch(0, talk, (1, 1, 1), (1, 1, 1), ctypes.c_uint(1))
    call('cuDevicePrimaryCtxReset_v2', 0)
    print('reset', flush=True)


def prints_blindly() -> None:
    """Write to standard output where there is none, from kernels and from here."""
    start()
    talk = kernel(load(PRINTING), 'talk')
    for _ in range(3):
        launch(0, talk, (1, 1, 1), (256, 1, 1), ctypes.c_uint(256))
        call('cuCtxSynchronize')
        with contextlib.suppress(OSError):
            os.write(1, b'something')
    assert read(allocate(4).value, 4)


def sticky() -> None:
    """An error that the device finds comes with a later call, and stays."""
    start()
    function = kernel(load(), 'fill')
    launch(0, function, (1, 1, 1), (1, 1, 1), Pointer(4096), ctypes.c_ubyte(), ctypes.c_uint(), ctypes.c_uint(1))
    expect(ILLEGAL_ADDRESS, 'cuCtxSynchronize')
    expect(ILLEGAL_ADDRESS, 'cuCtxSynchronize')
    expect(ILLEGAL_ADDRESS, 'cuMemAlloc_v2', ctypes.byref(Pointer()), Size(1))


def procedures() -> None:
    pointer, status = Handle(), Int()

    def find(name: bytes, version: int, flags: int = 0) -> int | None:
        call('cuGetProcAddress_v2', name, ctypes.byref(pointer), version, ctypes.c_uint64(flags), ctypes.byref(status))
        return pointer.value

    def address(symbol: str) -> int | None:
        return ctypes.cast(getattr(library, symbol), ctypes.c_void_p).value

    assert find(b'cuMemAlloc', 12000) == address('cuMemAlloc_v2') and status.value == 0
    assert find(b'cuCtxCreate', 11040) == address('cuCtxCreate_v3')
    assert find(b'cuCtxCreate', 13000) == address('cuCtxCreate_v4')
    assert find(b'cuCtxCreate', 3020) == address('cuCtxCreate_v2')
    assert find(b'cuMemcpyHtoD', 12000) == address('cuMemcpyHtoD_v2')
    assert find(b'cuMemcpyHtoD', 12000, 1) == address('cuMemcpyHtoD_v2')
    assert find(b'cuMemcpyHtoD', 12000, 2) == address('cuMemcpyHtoD_v2_ptds')
    assert find(b'cuLaunchKernel', 12000, 2) == address('cuLaunchKernel_ptsz')
    assert find(b'cuInit', 12000, 2) == address('cuInit')
    assert find(b'cuLibraryLoadData', 11000) is None and status.value == 2
    assert find(b'cuNoSuchThing', 12000) is None and status.value == 1
    expect(NOT_FOUND, 'cuGetProcAddress', b'cuNoSuchThing', ctypes.byref(pointer), 12000, ctypes.c_uint64(0))
    expect(INVALID_VALUE, 'cuGetProcAddress', b'cuInit', ctypes.byref(pointer), 12000, ctypes.c_uint64(64))
    call('cuInit', 0)
    for _ in range(3):
        expect(NOT_SUPPORTED, 'cuGraphCreate', None, 0)
        table = Handle(1)
        expect(NOT_SUPPORTED, 'cuGetExportTable', ctypes.byref(table),
               bytes.fromhex('6bd5fb6c5bf4e74a8987d93912fd9df9'))
        assert table.value is None


def child() -> None:
    """A context does not survive fork; a program that is executed afterwards starts afresh."""
    start()
    pointer = allocate(4096)
    pid = os.fork()
    if not pid:
        code = library.cuInit(0), library.cuMemFree_v2(pointer), library.cuCtxSynchronize()
        os._exit(0 if set(code) == {NOT_INITIALIZED} else 1)
    assert os.waitpid(pid, 0)[1] == 0
    call('cuCtxSynchronize')
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, '-m', __spec__.name, 'copies']) == 0


def threads() -> None:
    """Many threads on one session; each sees its own order."""
    primary = start()
    function = kernel(load(), 'fill')

    def work() -> None:
        call('cuCtxSetCurrent', primary)
        stream = Handle()
        call('cuStreamCreate', ctypes.byref(stream), 1)
        out = allocate(4096)
        for turn in range(200):
            launch(0, function, (8, 1, 1), (128, 1, 1), out, ctypes.c_ubyte(), ctypes.c_uint(turn), ctypes.c_uint(1024),
                   stream=stream)
            if turn % 10 == 0:
                data = ctypes.create_string_buffer(4096)
                call('cuMemcpyDtoHAsync_v2', data, out, Size(4096), stream)
                assert data.raw[:4] == turn.to_bytes(4, 'little')
            big = allocate(MIB)
            call('cuMemcpyHtoDAsync_v2', big, bytes(MIB), Size(MIB), stream)
            call('cuMemFree_v2', big)
        call('cuStreamSynchronize', stream)
        call('cuStreamDestroy_v2', stream)

    in_thread(*[work] * 4)


def reset() -> None:
    """The last release of a device's contexts gives everything back."""
    stream, event, module = Handle(), Handle(), Handle()
    for how in ('cuDevicePrimaryCtxReset_v2', 'cuDevicePrimaryCtxRelease_v2', 'cuDevicePrimaryCtxRelease_v2'):
        start()
        big = allocate(500 * MIB)
        call('cuStreamCreate', ctypes.byref(stream), 0)
        call('cuEventCreate', ctypes.byref(event), 0)
        module = load()
        call(how, 0)
        if how.endswith('Release_v2'):
            expect(CONTEXT_IS_DESTROYED, 'cuCtxSynchronize')
            start()
        expect(INVALID_VALUE, 'cuMemFree_v2', big)
        expect(INVALID_HANDLE, 'cuStreamSynchronize', stream)
        expect(INVALID_HANDLE, 'cuEventQuery', event)
        expect(INVALID_HANDLE, 'cuModuleUnload', module)
        call('cuMemFree_v2', allocate(512 * MIB))
        call('cuDevicePrimaryCtxRelease_v2', 0)


def two_devices() -> None:
    """Two slices are two devices; copies between them work, handles of one are errors on the other."""
    count, contexts, pointers = Int(), [], []
    call('cuInit', 0)
    call('cuDeviceGetCount', ctypes.byref(count))
    assert count.value == 2
    for ordinal in range(2):
        context = Handle()
        call('cuDevicePrimaryCtxRetain', ctypes.byref(context), ordinal)
        call('cuCtxSetCurrent', context)
        contexts.append(context)
        pointers.append(allocate(3 * MIB))
        call('cuMemsetD8_v2', pointers[-1], ctypes.c_ubyte(ordinal + 1), Size(3 * MIB))
    first, second = pointers
    value = Int()
    call('cuPointerGetAttribute', ctypes.byref(value), 9, first)
    assert value.value == 0
    stream = Handle()
    call('cuStreamCreate', ctypes.byref(stream), 0)
    expect(INVALID_VALUE, 'cuMemsetD8_v2', first, ctypes.c_ubyte(0), Size(1))
    call('cuMemcpyPeer', first, contexts[0], second, contexts[1], Size(2 * MIB))
    call('cuCtxSetCurrent', contexts[0])
    assert read(first.value, 3 * MIB) == 2 * MIB * b'\2' + MIB * b'\1'
    expect(INVALID_HANDLE, 'cuStreamSynchronize', stream)
    module = load()
    function = kernel(module, 'fill')
    fill(function)
    call('cuCtxSetCurrent', contexts[1])
    launch(INVALID_HANDLE, function, (1, 1, 1), (1, 1, 1), *(ctypes.c_int() for _ in range(4)))
    call('cuMemcpy', second, first, Size(3 * MIB))
    assert read(second.value, 3 * MIB) == 2 * MIB * b'\2' + MIB * b'\1'
    call('cuMemFree_v2', first)                     # an address says whose it is


def lost() -> None:
    """Waits to be deprived of its worker; says so on stdout, and how long it took to notice on the next line."""
    start()
    print('ready', flush=True)
    sys.stdin.readline()
    begin = time.monotonic()
    while not (code := library.cuCtxSynchronize()):
        assert time.monotonic() - begin < 10
    assert code == CONTEXT_IS_DESTROYED, code
    expect(CONTEXT_IS_DESTROYED, 'cuMemAlloc_v2', ctypes.byref(Pointer()), Size(1))
    expect(CONTEXT_IS_DESTROYED, 'cuMemcpyHtoD_v2', Pointer(1), b'1', Size(0))
    print(f'{time.monotonic() - begin:.3f}')


def unattached() -> None:
    expect(NO_DEVICE, 'cuInit', 0)
    expect(NO_DEVICE, 'cuInit', 0)
    expect(NOT_INITIALIZED, 'cuCtxSynchronize')


if __name__ == '__main__':
    signal.alarm(120)
    globals()[sys.argv[1]]()
