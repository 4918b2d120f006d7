# SPDX-License-Identifier: Apache-2.0
"""What the kernel tells of a process to those who may trace it."""

import ctypes
import errno
import os

_SEIZE, _INTERRUPT, _SECCOMP_GET_METADATA, _DETACH = 0x4206, 0x4207, 0x420d, 17
_ALL_CHILDREN = 0x40000000
_FLAG_LOG = 2

_libc = ctypes.CDLL(None, use_errno=True)


def _ptrace(request: int, pid: int, address: int = 0, data: object = None) -> int:
    return int(_libc.ptrace(ctypes.c_long(request), ctypes.c_long(pid), ctypes.c_void_p(address), data))


def _check(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def logging_filters(pid: int) -> list[bool]:
    """Whether the kernel logs what each seccomp filter of the process denies, the oldest filter first.

    :raises OSError: this kernel does not tell, or not us
    """
    _check(_ptrace(_SEIZE, pid))
    try:
        _check(_ptrace(_INTERRUPT, pid))
        os.waitpid(pid, _ALL_CHILDREN)
        found: list[bool] = []
        while True:
            metadata = (ctypes.c_uint64 * 2)(len(found), 0)
            try:
                _check(_ptrace(_SECCOMP_GET_METADATA, pid, ctypes.sizeof(metadata), metadata))
            except OSError as failure:
                if failure.errno == errno.ENOENT:
                    return found
                raise
            found.append(bool(metadata[1] & _FLAG_LOG))
    finally:
        _ptrace(_DETACH, pid)
