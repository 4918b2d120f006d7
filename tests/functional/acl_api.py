# SPDX-License-Identifier: Apache-2.0
"""AscendCL through ctypes, for programs that say which error they expect; and a kernel launch of the emulated device."""

import ctypes
import struct
from ctypes import c_void_p as Handle

from tests.functional.acl_arguments import NPU_MAGIC

UNINITIALIZE, INVALID_PARAM, INVALID_DEVICE, CONTEXT_NULL, INVALID_HANDLE = 100001, 107000, 107001, 107002, 107017
NOT_SUPPORTED, NO_MEMORY, AICORE_EXCEPTION, LOST = 207000, 207001, 507015, 507899
TO_DEVICE, TO_HOST, WITHIN, DEFAULT = 1, 2, 3, 4
MIB = 1 << 20

library = ctypes.CDLL('libascendcl.so')


def expect(error: int, function: str, *arguments: object) -> None:
    """Call a function that must return ``error``."""
    code = getattr(library, function)(*arguments)
    assert code == error, f'{function} returned {code} and not {error}'


def call(function: str, *arguments: object) -> None:
    expect(0, function, *arguments)


def start() -> None:
    call('aclInit', None)
    call('aclrtSetDevice', 0)


def allocate(size: int) -> int:
    address = Handle()
    call('aclrtMalloc', ctypes.byref(address), ctypes.c_size_t(size), 0)
    assert address.value
    return address.value


def write(address: int, data: bytes) -> None:
    size = ctypes.c_size_t(len(data))
    call('aclrtMemcpy', Handle(address), size, data, size, TO_DEVICE)


def read(address: int, size: int) -> bytes:
    data = ctypes.create_string_buffer(size)
    call('aclrtMemcpy', data, ctypes.c_size_t(size), Handle(address), ctypes.c_size_t(size), TO_HOST)
    return data.raw


def create(function: str, *arguments: object) -> Handle:
    """Call a function whose first argument is where a handle goes."""
    handle = Handle()
    call(function, ctypes.byref(handle), *arguments)
    return handle


def function(*names: str) -> tuple[Handle, Handle]:
    """Return a binary with these kernels, and the function of the first."""
    image = NPU_MAGIC + b''.join(name.encode() + b'\n' for name in names)
    binary, found = Handle(), Handle()
    call('aclrtBinaryLoadFromData', image, ctypes.c_size_t(len(image)), None, ctypes.byref(binary))
    call('aclrtBinaryGetFunction', binary, names[0].encode(), ctypes.byref(found))
    return binary, found


def launch(kernel: Handle, data: bytes, tensors: int, stream: Handle | None = None, *, error: int = 0) -> None:
    """Launch with one place holder: the address of the tiling data behind the tensors' addresses."""
    place = struct.pack('<II', 8 * tensors, 8 * (tensors + 1))
    expect(error, 'aclrtLaunchKernelWithHostArgs', kernel, 1, stream, None, data, ctypes.c_size_t(len(data)), place,
           ctypes.c_size_t(1))
