# SPDX-License-Identifier: Apache-2.0
"""The PTX translator as a child of the agent: started when first needed, under a uid of its own, restarted if it dies.

It alone writes the cache; workers get read-only descriptors of what is in it.
"""

import asyncio
import contextlib
import logging
import os
import pathlib
import socket
import struct
import subprocess
import sys

LOG = logging.getLogger(__name__)

_REQUEST = struct.Struct('<IIQ')
_ANSWER = struct.Struct('<IiI')
#: Seconds for one module.
PATIENCE = 120
FAILED = 304  # CUDA_ERROR_OPERATING_SYSTEM
#: Imported with the agent's rights, run without them: the package may lie where the uid cannot go.
BOOTSTRAP = (
    'import os, sys\n'
    'from accelpool.drivers.mock.ptx import serve\n'
    'uid = int(sys.argv[1])\n'
    'if uid:\n'
    '    os.setgroups([]); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)\n'
    'sys.exit(serve.main())\n'
)


class Translator:
    """One request at a time; the others wait in order."""

    def __init__(self, cache: pathlib.Path, uid: int) -> None:
        """
        :param cache: its directory, which it owns
        :param uid: what it runs as; 0 = as the agent
        """
        self._cache = cache
        self._uid = uid
        self._lock = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    async def translate(self, descriptor: int, length: int) -> tuple[int, bytes, int]:
        """Return (CUresult, log, descriptor of the module or -1) for the PTX in a file."""
        async with self._lock:
            try:
                async with asyncio.timeout(PATIENCE):
                    return await self._ask(descriptor, length)
            except (OSError, TimeoutError) as failure:
                LOG.warning('The translator failed: %s', failure or 'it took too long')
                self.close()
                return FAILED, b'the translator failed or took too long', -1

    async def _ask(self, descriptor: int, length: int) -> tuple[int, bytes, int]:
        loop = asyncio.get_running_loop()
        if self._process is None or self._process.poll() is not None:
            self._start()
        assert self._socket is not None
        socket.send_fds(self._socket, [_REQUEST.pack(1, 0, length)], [descriptor])
        readable = asyncio.Event()
        loop.add_reader(self._socket, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._socket)
        data, found, _flags, _ = socket.recv_fds(self._socket, _ANSWER.size + (16 << 10), 1)
        if len(data) < _ANSWER.size:
            raise ConnectionResetError('it has ended')
        _number, status, _log = _ANSWER.unpack_from(data)
        return status, data[_ANSWER.size:], found[0] if found else -1

    def _start(self) -> None:
        self._cache.mkdir(mode=0o700, exist_ok=True)
        if self._uid:
            os.chown(self._cache, self._uid, self._uid)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, '-P', '-c', BOOTSTRAP, str(self._uid)], cwd=self._cache, pass_fds=[3],
                preexec_fn=lambda: os.dup2(theirs.fileno(), 3),
                env={'PATH': os.environ.get('PATH', os.defpath), 'TMPDIR': '.', 'HOME': '.', 'LC_ALL': 'C.UTF-8',
                     'ACCELPOOL_TRANSLATOR_CACHE': '.', 'PYTHONPATH': os.pathsep.join(p for p in sys.path if p)})
        self._socket = ours

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
            self._process = None
