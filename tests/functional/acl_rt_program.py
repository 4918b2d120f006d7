# SPDX-License-Identifier: Apache-2.0
"""Programs on the layer below aclrt: ``python -m tests.functional.acl_rt_program SCENARIO``; exit status 0: as expected."""

import ctypes
import struct
import sys
from ctypes import c_void_p as Handle

from tests.functional import acl_api as acl
from tests.functional.acl_arguments import arguments
from tests.functional.acl_program import HUGE, INVENTED


def registered() -> None:
    """The layer below: kernels by the address of a host function; a launch without place holders."""
    acl.start()
    runtime, image = ctypes.CDLL('libruntime.so'), acl.NPU_MAGIC + b'fill\n'
    keep, binary, stub = ctypes.create_string_buffer(image), Handle(), Handle(0x1234)
    description = struct.pack('<IIQQ', 0x43554245, 0, ctypes.addressof(keep), len(image))
    assert runtime.rtDevBinaryRegister(description, ctypes.byref(binary)) == 0
    assert runtime.rtFunctionRegister(binary, stub, b'stub', b'mul', 0) == acl.INVALID_PARAM
    assert runtime.rtKernelLaunch(stub, 1, b'x' * 8, 8, None, None) == acl.INVALID_HANDLE
    assert runtime.rtFunctionRegister(binary, stub, b'stub', b'fill', 0) == 0
    assert runtime.rtKernelLaunch(stub, 1, b'x' * 8, 8, Handle(8), None) == acl.NOT_SUPPORTED
    assert runtime.rtKernelLaunch(stub, 1, b'x' * 8, 8, None, None) == 0
    acl.expect(acl.AICORE_EXCEPTION, 'aclrtSynchronizeDevice')  # no tiling data: the emulated kernel says so


class Rt:
    """CANN's runtime library below aclrt, with one binary whose kernels go by names and numbers."""

    def __init__(self, *names: str) -> None:
        self.library = ctypes.CDLL('libruntime.so')
        image = acl.NPU_MAGIC + b''.join(name.encode() + b'\n' for name in names)
        self.keep = ctypes.create_string_buffer(image)
        self.binary = Handle()
        description = struct.pack('<IIQQ', 0x43554245, 0, ctypes.addressof(self.keep), len(image))
        self.expect(0, 'rtRegisterAllKernel', description, ctypes.byref(self.binary))

    def expect(self, error: int, function: str, *values: object) -> None:
        code = getattr(self.library, function)(*values)
        assert code == error, f'{function} returned {code} and not {error}'

    def launch(self, error: int, key: int, info: bytes | None, *, binary: Handle | None = None, blocks: int = 1,
               shared: Handle | None = None, stream: Handle | None = None, settings: bytes | None = None) -> None:
        self.expect(error, 'rtKernelLaunchWithHandleV2', self.binary if binary is None else binary, ctypes.c_uint64(key), blocks,
                    info, shared, stream, settings)


def rt_arguments(data: ctypes.Array[ctypes.c_char] | None, size: int, *, tiling: tuple[int, int] | None = None,
                 inputs: ctypes.Array[ctypes.c_char] | None = None, count: int = 0, on_device: int = 0) -> bytes:
    """rtArgsEx_t."""
    place, at = tiling or (0, 0)
    return struct.pack('<QQIIIHBBI', ctypes.addressof(data) if data else 0, ctypes.addressof(inputs) if inputs else 0, size,
                       place, at, count, int(tiling is not None), on_device, 0)


def registered_launches() -> None:
    """CANN up to 8.3 launches by the binary and a number, or by a function of the program's, with tiling data or without."""
    acl.start()
    rt, stream = Rt('add', 'mul', 'fill'), acl.create('aclrtCreateStream')
    values = struct.pack('<1024f', *range(1024))
    one, two, out = (acl.allocate(4096) for _ in range(3))
    size, kinds = ctypes.c_uint64(4096), {'to': 6, 'from': 7, 'any': 8}
    for address in (one, two):
        rt.expect(0, 'rtMemcpyAsync', Handle(address), size, values, size, kinds['to'], stream)
    data = ctypes.create_string_buffer(arguments([out, one, two], 1024), len(arguments([out, one, two], 1024)))
    tiled = rt_arguments(data, len(data), tiling=(24, 32))
    rt.launch(0, 1, tiled, stream=stream)
    host = ctypes.create_string_buffer(4096)
    rt.expect(0, 'rtMemcpyAsync', host, size, Handle(out), size, kinds['from'], stream)
    acl.call('aclrtSynchronizeStream', stream)
    assert struct.unpack('<1024f', host.raw) == tuple(float(i * i) for i in range(1024))
    place = ctypes.create_string_buffer(struct.pack('<II', 24, 32), 8)  # the same as an input that lies on the host
    rt.launch(0, 0, rt_arguments(data, len(data), inputs=place, count=1), settings=bytes((0, 0, 1, 0)) + bytes(16))
    acl.call('aclrtSynchronizeDevice')
    assert struct.unpack('<1024f', acl.read(out, 4096)) == tuple(2.0 * i for i in range(1024))
    stub, found = Handle(0x1234), Handle()
    rt.expect(0, 'rtFunctionRegister', rt.binary, stub, b'a stub', b'mul', 0)
    rt.expect(0, 'rtGetFunctionByName', b'a stub', ctypes.byref(found))
    rt.expect(0, 'rtQueryFunctionRegistered', b'a stub')
    assert found.value == stub.value
    rt.expect(0, 'rtKernelLaunchWithFlag', stub, 1, tiled, None, stream, 0)
    rt.expect(0, 'rtKernelLaunchWithFlagV2', stub, 1, tiled, None, stream, 2, None)
    rt.expect(0, 'rtKernelLaunchWithHandle', rt.binary, ctypes.c_uint64(1), 1, tiled, None, stream, None)
    acl.call('aclrtSynchronizeStream', stream)
    assert struct.unpack('<1024f', acl.read(out, 4096)) == tuple(float(i * i) for i in range(1024))

    for binary in (0, *INVENTED):
        rt.launch(acl.INVALID_HANDLE, 0, tiled, binary=Handle(binary))
        rt.expect(acl.INVALID_HANDLE, 'rtDevBinaryUnRegister', Handle(binary))
    for key in (3, 1 << 31, HUGE):
        rt.launch(acl.INVALID_PARAM, key, tiled)
    for info in (None, rt_arguments(None, 64), rt_arguments(data, 0), rt_arguments(data, 0xffffffff),
                 rt_arguments(data, len(data), tiling=(len(data) - 7, 0)), rt_arguments(data, len(data), tiling=(0, len(data))),
                 rt_arguments(data, len(data), count=1), rt_arguments(data, len(data), inputs=place, count=0xffff)):
        rt.launch(acl.INVALID_PARAM, 0, info)
        rt.expect(acl.INVALID_PARAM, 'rtKernelLaunchWithFlag', stub, 1, info, None, stream, 0)
    for info, shared in ((rt_arguments(data, len(data), on_device=1), None), (tiled, Handle(8))):
        rt.launch(acl.NOT_SUPPORTED, 0, info, shared=shared)
        rt.expect(acl.NOT_SUPPORTED, 'rtKernelLaunchWithFlagV2', stub, 1, info, shared, stream, 0, None)
    for bad in (Handle(8), *map(Handle, INVENTED)):
        rt.launch(acl.INVALID_HANDLE, 0, tiled, stream=bad)
        rt.expect(acl.INVALID_HANDLE, 'rtKernelLaunchWithFlag', bad, 1, tiled, None, stream, 0)
    rt.launch(acl.INVALID_PARAM, 0, tiled, blocks=0)
    rt.expect(acl.INVALID_HANDLE, 'rtKernelLaunchWithFlag', None, 1, tiled, None, stream, 0)
    rt.expect(acl.INVALID_PARAM, 'rtFunctionRegister', rt.binary, stub, b'x' * 2000, b'mul', 0)
    rt.expect(acl.INVALID_PARAM, 'rtRegisterAllKernel', None, ctypes.byref(found))
    rt.expect(acl.INVALID_HANDLE, 'rtGetFunctionByName', b'none', ctypes.byref(found))
    rt.expect(acl.INVALID_HANDLE, 'rtQueryFunctionRegistered', b'none')
    for name, where in ((None, found), (b'a stub', None)):
        rt.expect(acl.INVALID_PARAM, 'rtGetFunctionByName', name, where)
    for kind in (4, 5, 9, -1):
        rt.expect(acl.INVALID_PARAM, 'rtMemcpyAsync', Handle(out), size, Handle(one), size, kind, stream)
    rt.expect(acl.INVALID_PARAM, 'rtMemcpyAsync', Handle(out), ctypes.c_uint64(4096), values, ctypes.c_uint64(4097), 1, stream)
    rt.expect(0, 'rtDevBinaryUnRegister', rt.binary)
    rt.launch(acl.INVALID_HANDLE, 1, tiled)
    rt.expect(acl.INVALID_HANDLE, 'rtKernelLaunchWithFlag', stub, 1, tiled, None, stream, 0)
    rt.expect(acl.INVALID_HANDLE, 'rtQueryFunctionRegistered', b'a stub')
    acl.call('aclrtSynchronizeDevice')  # none of that has reached the device


if __name__ == '__main__':
    globals()[sys.argv[1]]()
