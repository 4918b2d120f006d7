# SPDX-License-Identifier: Apache-2.0
"""Programs for test_tls.py and test_front_door.py: ``python -m tests.functional.tls_program SCENARIO``."""

import ctypes
import pathlib
import signal
import ssl
import sys
import tempfile
from ctypes import c_size_t as Size

from tests.functional.driver_api import MIB, allocate, call, fill, kernel, load, read, start
from tests.support import certificates
from tests.support.wiretap import MARKER


def marker() -> None:
    """Large enough for several frames, and known at every place."""
    start()
    data = MARKER * (2 * MIB // len(MARKER))
    pointer = allocate(len(data))
    call('cuMemcpyHtoD_v2', pointer, data, Size(len(data)))
    assert read(pointer.value, len(data)) == data


def wait() -> None:
    """Works when it is told to, and says so."""
    marker()
    print('ready', flush=True)
    sys.stdin.readline()
    marker()


def _handshake(place: pathlib.Path) -> None:
    """Both ends of a TLS connection with the OpenSSL that Python has."""
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(place / 'server.pem', place / 'server.key')
    client_side = ssl.create_default_context(cafile=str(place / 'ca.pem'))
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(back, there, server_hostname='127.0.0.1')
    server = server_side.wrap_bio(there, back, server_side=True)
    waiting = [client, server]
    while waiting:
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                pass
    client.write(b'hello')
    assert server.read() == b'hello'


def beside_openssl() -> None:
    """The program's OpenSSL and the one inside the library, in turns and at the end of the process."""
    with tempfile.TemporaryDirectory() as name:
        place = pathlib.Path(name)
        certificates.make(place)
        _handshake(place)
        start()
        for _ in range(3):
            fill(kernel(load(), 'fill'))
            _handshake(place)
    ctypes.CDLL('libcrypto.so.3').OPENSSL_cleanup()  # as other libraries of the program may at their end
    marker()


if __name__ == '__main__':
    signal.alarm(120)
    globals()[sys.argv[1]]()
