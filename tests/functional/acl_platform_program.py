# SPDX-License-Identifier: Apache-2.0
"""Asks what CANN says of the chip and of itself: ``python -m tests.functional.acl_platform_program SCENARIO``."""

import ctypes
import sys

from tests.functional import acl_api as acl

NOT_FOUND = 0x071A0001


def ask(label: bytes | None, key: bytes | None, room: int = 64) -> tuple[int, bytes]:
    value = ctypes.create_string_buffer(b'untouched', 64)
    return acl.library.rtGetSocSpec(label, key, value, ctypes.c_uint32(room)), value.value


def version() -> None:
    """Prints it; it can be asked before anything else."""
    numbers = [ctypes.c_int32() for _ in range(3)]
    acl.call('aclrtGetVersion', *map(ctypes.byref, numbers))
    for missing in range(3):
        acl.expect(acl.INVALID_PARAM, 'aclrtGetVersion', *(
            None if one == missing else ctypes.byref(numbers[one]) for one in range(3)))
    print('.'.join(str(number.value) for number in numbers))


def spec() -> None:
    """The chip's are the worker's: 16 AI cores of a 910B3."""
    acl.start()
    for label, key, value in (
            (b'version', b'SoC_version', b'Ascend910B3'), (b'version', b'Short_SoC_version', b'Ascend910B'),
            (b'version', b'NpuArch', b'2201'), (b'SoCInfo', b'ai_core_cnt', b'16'),
            (b'SoCInfo', b'vector_core_cnt', b'32'), (b'AICoreSpec', b'ubblock_size', b'32')):
        assert ask(label, key) == (0, value), (key, ask(label, key))
        assert ask(label, key, len(value) + 1) == (0, value)
        assert ask(label, key, len(value)) == (acl.INVALID_PARAM, b'untouched')
    assert ask(b'version', b'NpuArch', 1 << 31) == (0, b'2201')
    for label, key in ((b'version', b'npuarch'), (b'', b''), (b'x' * 63, b'y' * 63)):
        assert ask(label, key) == (NOT_FOUND, b'untouched')
    for label, key in ((None, b'NpuArch'), (b'version', None), (b'x' * 64, b'NpuArch'), (b'version', b'y' * 4096)):
        assert ask(label, key) == (acl.INVALID_PARAM, b'untouched')
    acl.expect(acl.INVALID_PARAM, 'rtGetSocSpec', b'version', b'NpuArch', None, 64)
    assert ask(b'version', b'NpuArch', 0) == (acl.INVALID_PARAM, b'untouched')


def addresses() -> dict[str, tuple[int, int | None]]:
    """Each call by which kernels learn where cores synchronize: its code and the address."""
    address, registered, length = ctypes.c_void_p(), ctypes.c_uint64(), ctypes.c_uint32()
    kernels = acl.library.aclrtGetHardwareSyncAddr(ctypes.byref(address))
    register = acl.library.rtGetC2cCtrlAddr(ctypes.byref(registered), ctypes.byref(length))
    assert bool(length.value) == (not register)
    return {'kernels': (kernels, address.value), 'register': (register, registered.value or None)}


def synchronization() -> None:
    """On a 910B3 kernels are given the register's address, which is the same each time and none of the program's."""
    assert addresses() == dict.fromkeys(('kernels', 'register'), (acl.UNINITIALIZE, None))
    acl.start()
    found = addresses()
    address = found['kernels'][1]
    assert found['register'] == found['kernels'] == (0, address) and address, found
    assert addresses() == found
    size = ctypes.c_size_t(4)
    acl.expect(acl.INVALID_PARAM, 'aclrtMemsetAsync', ctypes.c_void_p(address), size, 0, size, None)


def synchronization_of_310p() -> None:
    """A 310P has the register, and does not hand it to kernels."""
    acl.start()
    found = addresses()
    assert found['kernels'] == (acl.NOT_SUPPORTED, None) and found['register'][0] == 0 and found['register'][1], found


def overflow() -> None:
    """Where operators of some chips note what overflows: of the context, and none of the program's memory either."""
    address, size = ctypes.c_void_p(), ctypes.c_size_t(512)
    acl.expect(acl.UNINITIALIZE, 'aclrtCtxGetFloatOverflowAddr', ctypes.byref(address))
    acl.start()
    acl.expect(acl.INVALID_PARAM, 'aclrtCtxGetFloatOverflowAddr', None)
    acl.call('aclrtCtxGetFloatOverflowAddr', ctypes.byref(address))
    assert address.value
    acl.expect(acl.INVALID_PARAM, 'aclrtMemsetAsync', address, size, 0, size, None)


def operators() -> None:
    """Prints which chip CANN's library was told of when the first device was set; later ones tell nothing."""
    acl.call('aclInit', None)
    first = sys.argv[2:] == ['context']
    for function in ('aclrtCreateContext', 'aclrtSetDevice') if first else ('aclrtSetDevice', 'aclrtCreateContext'):
        acl.call(function, *([ctypes.byref(ctypes.c_void_p())] if function == 'aclrtCreateContext' else []), 0)
    acl.call('aclrtSynchronizeDevice')
    platform = ctypes.CDLL('libplatform.so')
    platform.platform_chip.restype = ctypes.c_char_p
    print(platform.platform_chip().decode())


def vendor() -> None:
    """A library whose values are as long as can be, and longer."""
    acl.start()
    value = ctypes.create_string_buffer(4096)
    for length, room, code in ((511, 4096, 0), (511, 512, 0), (511, 511, acl.INVALID_PARAM), (512, 4096, acl.INVALID_PARAM)):
        acl.expect(code, 'rtGetSocSpec', b'long', str(length).encode(), value, ctypes.c_uint32(room))
        if not code:
            assert value.value == b'v' * length


if __name__ == '__main__':
    globals()[sys.argv[1]]()
