# SPDX-License-Identifier: Apache-2.0
"""The translator as a process of an agent. It answers on descriptor 3, a SEQPACKET socket:

request {u32 id, u32 0, u64 length} and a descriptor of `length` bytes of PTX;
answer {u32 id, i32 CUresult, u32 length of the log}, the log, and with CUresult 0 a read-only descriptor of the module.

One request at a time; the cache is the working directory unless ACCELPOOL_TRANSLATOR_CACHE names another."""

import os
import socket
import struct
import sys
from pathlib import Path

from accelpool.drivers.mock.ptx import limits
from accelpool.drivers.mock.ptx.cache import Cache
from accelpool.drivers.mock.ptx.errors import PtxError

_REQUEST = struct.Struct('<IIQ')
_ANSWER = struct.Struct('<IiI')
_SUCCESS, _OUT_OF_MEMORY, _INVALID_PTX, _OPERATING_SYSTEM = 0, 2, 218, 304
_LOG_BYTES = 16 << 10


def _read(descriptor: int, length: int) -> bytes:
    """The request's text. A shorter file than announced is invalid PTX, never a wait."""
    if length > limits.INPUT_BYTES:
        raise PtxError(f'more than {limits.INPUT_BYTES} bytes of PTX')
    parts, offset = [], 0
    while offset < length:
        part = os.pread(descriptor, length - offset, offset)
        if not part:
            raise PtxError('the text is shorter than announced')
        parts.append(part)
        offset += len(part)
    return b''.join(parts)


def answer(cache: Cache, descriptor: int, length: int) -> tuple[int, str, int]:
    """CUresult, log, and the module's descriptor (-1 without success)."""
    try:
        return _SUCCESS, '', cache.open(_read(descriptor, length))
    except PtxError as error:
        return _INVALID_PTX, str(error), -1
    except MemoryError:
        return _OUT_OF_MEMORY, 'the translator is out of memory', -1
    except (OSError, ValueError) as error:
        return _OPERATING_SYSTEM, f'the translator failed: {error}', -1


def serve(connection: socket.socket, cache: Cache) -> None:
    """Answers requests until the other end closes."""
    while True:
        packet, descriptors, _flags, _address = socket.recv_fds(connection, _REQUEST.size, 1)
        if not packet:
            return
        try:
            if len(packet) != _REQUEST.size or not descriptors:
                continue
            number, _, length = _REQUEST.unpack(packet)
            status, log, module = answer(cache, descriptors[0], length)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        text = log.encode('ascii', 'replace')[:_LOG_BYTES]
        try:
            reply = _ANSWER.pack(number, status, len(text)) + text
            socket.send_fds(connection, [reply], [module] if module >= 0 else [])
        finally:
            if module >= 0:
                os.close(module)


def main() -> int:
    """Takes over descriptor 3; ends with it."""
    cache = Cache(Path(os.environ.get('ACCELPOOL_TRANSLATOR_CACHE') or '.'))
    with socket.socket(fileno=3) as connection:
        try:
            serve(connection, cache)
        except (BrokenPipeError, ConnectionResetError):
            print('the agent has gone', file=sys.stderr)
    return 0
