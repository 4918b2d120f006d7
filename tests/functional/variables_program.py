# SPDX-License-Identifier: Apache-2.0
"""A program whose module has a variable that its image does not tell of, for test_client_variables."""

import ctypes
from ctypes import c_size_t as Size
from ctypes import c_uint64 as Pointer
from ctypes import c_void_p as Handle

from tests.functional.driver_api import INVALID_VALUE, NOT_FOUND, call, expect, read, start

IMAGE = b'.version 7.0\n.target sm_52\n.address_size 64\n.visible .entry fill() { ret; }\n\0'


def main() -> None:
    start()
    module, library, address, again, size = Handle(), Handle(), Pointer(), Pointer(), Size()
    call('cuModuleLoadData', ctypes.byref(module), IMAGE)
    call('cuModuleGetGlobal_v2', ctypes.byref(address), ctypes.byref(size), module, b'hidden')
    assert size.value == 300, size.value
    assert read(address.value, 4) == b'\1\2\3\0'
    call('cuMemcpyHtoD_v2', address, b'\7', Size(1))
    call('cuModuleGetGlobal_v2', ctypes.byref(again), None, module, b'hidden')
    assert again.value == address.value and read(again.value, 2) == b'\7\2'
    expect(INVALID_VALUE, 'cuMemcpyHtoD_v2', address, bytes(301), Size(301))
    expect(NOT_FOUND, 'cuModuleGetGlobal_v2', ctypes.byref(again), None, module, b'absent')
    call('cuModuleUnload', module)
    expect(INVALID_VALUE, 'cuMemcpyHtoD_v2', address, b'\7', Size(1))
    call('cuLibraryLoadData', ctypes.byref(library), IMAGE, None, None, 0, None, None, 0)
    call('cuLibraryGetGlobal', ctypes.byref(address), ctypes.byref(size), library, b'hidden')
    assert read(address.value, 4) == b'\1\2\3\0'
    expect(NOT_FOUND, 'cuLibraryGetGlobal', ctypes.byref(address), None, library, b'absent')


if __name__ == '__main__':
    main()
