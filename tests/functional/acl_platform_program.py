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
