# SPDX-License-Identifier: Apache-2.0
"""The few CUDA driver calls that the examples make, through ctypes; any libcuda.so.1 will do."""

import ctypes

_cuda = ctypes.CDLL('libcuda.so.1')
OUT_OF_MEMORY = 2

Pointer = ctypes.c_uint64


class CudaError(RuntimeError):
    """A driver call failed; ``code`` is the CUresult."""

    def __init__(self, function: str, code: int) -> None:
        text = ctypes.c_char_p()
        _cuda.cuGetErrorName(code, ctypes.byref(text))
        super().__init__(f'{function}: {text.value.decode() if text.value else code}')
        self.code = code


def call(function: str, *arguments: object) -> None:
    """Call a driver function; raise CudaError unless it succeeds."""
    code = getattr(_cuda, function)(*arguments)
    if code:
        raise CudaError(function, code)


def start() -> None:
    """Initialise, and make device 0's primary context current."""
    context = ctypes.c_void_p()
    call('cuInit', 0)
    call('cuDevicePrimaryCtxRetain', ctypes.byref(context), 0)
    call('cuCtxSetCurrent', context)


def allocate(size: int) -> int:
    """Return the device address of ``size`` fresh bytes."""
    pointer = Pointer()
    call('cuMemAlloc_v2', ctypes.byref(pointer), ctypes.c_size_t(size))
    return pointer.value


def free(address: int) -> None:
    call('cuMemFree_v2', Pointer(address))


def write(address: int, data: bytes) -> None:
    call('cuMemcpyHtoD_v2', Pointer(address), data, ctypes.c_size_t(len(data)))


def read(address: int, size: int) -> bytes:
    data = ctypes.create_string_buffer(size)
    call('cuMemcpyDtoH_v2', data, Pointer(address), ctypes.c_size_t(size))
    return data.raw


def memory() -> tuple[int, int]:
    """Return (free, total) bytes of what this program may use."""
    available, total = ctypes.c_size_t(), ctypes.c_size_t()
    call('cuMemGetInfo_v2', ctypes.byref(available), ctypes.byref(total))
    return available.value, total.value


def kernel(ptx: str, name: str) -> ctypes.c_void_p:
    """Load PTX text and return one of its kernels."""
    module, function = ctypes.c_void_p(), ctypes.c_void_p()
    call('cuModuleLoadData', ctypes.byref(module), ptx.encode())
    call('cuModuleGetFunction', ctypes.byref(function), module, name.encode())
    return function


def launch(function: ctypes.c_void_p, blocks: int, threads: int, *arguments: ctypes._SimpleCData) -> None:
    values = (ctypes.c_void_p * max(len(arguments), 1))(
        *(ctypes.cast(ctypes.pointer(a), ctypes.c_void_p) for a in arguments))
    call('cuLaunchKernel', function, blocks, 1, 1, threads, 1, 1, 0, None, values, None)


def synchronize() -> None:
    call('cuCtxSynchronize')


def event() -> ctypes.c_void_p:
    handle = ctypes.c_void_p()
    call('cuEventCreate', ctypes.byref(handle), 0)
    return handle


def record(handle: ctypes.c_void_p) -> None:
    call('cuEventRecord', handle, None)


def wait(handle: ctypes.c_void_p) -> None:
    call('cuEventSynchronize', handle)
