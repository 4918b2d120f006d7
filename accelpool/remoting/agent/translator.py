# SPDX-License-Identifier: Apache-2.0
"""The PTX translator as a child of the agent: started when first needed, under a uid of its own, restarted if it dies.

It alone writes the cache; workers get read-only descriptors of what is in it.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys

from accelpool.remoting.agent.uids import Uids

LOG = logging.getLogger(__name__)

_REQUEST = struct.Struct('<IIQ')
_ANSWER = struct.Struct('<IiI')
_LOG_BYTES = 16 << 10
#: Seconds for one module.
PATIENCE = 120
FAILED = 304  # CUDA_ERROR_OPERATING_SYSTEM
#: Imported with the agent's rights, run without them: the package may lie where the uid cannot go.  The options of
#: prctl (linux/prctl.h): 1 is PR_SET_PDEATHSIG, reset by a change of uid; 38 is PR_SET_NO_NEW_PRIVS.
BOOTSTRAP = (
    'import ctypes, os, signal, sys\n'
    'from accelpool.drivers.mock.ptx import serve\n'
    'uid = int(sys.argv[1])\n'
    'if uid:\n'
    '    os.setgroups([]); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)\n'
    'libc = ctypes.CDLL(None)\n'
    'if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(1, signal.SIGKILL, 0, 0, 0):\n'
    '    sys.exit("prctl failed")\n'
    'sys.exit(serve.main())\n'
)


class Translator:
    """One request at a time; the others wait in order."""

    def __init__(self, cache: pathlib.Path, uids: Uids) -> None:
        """
        :param cache: its directory, which it owns
        :param uids: where its uid comes from
        """
        self._cache = cache
        self._uids = uids
        self._uid: int | None = None
        self._numbers = itertools.count(1)
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
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._start()
        assert self._socket is not None
        number = next(self._numbers) & 0xFFFFFFFF
        socket.send_fds(self._socket, [_REQUEST.pack(number, 0, length)], [descriptor])
        while True:
            answered, status, log, found = await self._receive(self._socket)
            if answered == number:
                return status, log, found[0] if found else -1
            for stale in found:  # the session that asked has gone meanwhile
                os.close(stale)

    @staticmethod
    async def _receive(connection: socket.socket) -> tuple[int, int, bytes, list[int]]:
        """Return number, CUresult, log and descriptors of the next answer."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(connection, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(connection)
        data, found, _flags, _ = socket.recv_fds(connection, _ANSWER.size + _LOG_BYTES, 1)
        if len(data) < _ANSWER.size:
            raise ConnectionResetError('it has ended')
        number, status, length = _ANSWER.unpack_from(data)
        return number, status, data[_ANSWER.size:_ANSWER.size + length], found

    def _start(self) -> None:
        self._own_cache()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, '-P', '-c', BOOTSTRAP, str(self._uid or 0)], cwd=self._cache, pass_fds=[3],
                start_new_session=True, preexec_fn=lambda: os.dup2(theirs.fileno(), 3),
                env={'PATH': os.environ.get('PATH', os.defpath), 'TMPDIR': '.', 'HOME': '.', 'LC_ALL': 'C.UTF-8',
                     'ACCELPOOL_TRANSLATOR_CACHE': '.', 'PYTHONPATH': os.pathsep.join(p for p in sys.path if p)})
        self._socket = ours

    def _own_cache(self) -> None:
        """Make the cache directory the translator's.  Its uid is that of the directory's owner where that is free."""
        self._cache.mkdir(mode=0o700, exist_ok=True)
        owner = self._cache.stat().st_uid
        if self._uid is None and self._uids.take_this(owner):
            self._uid = owner
        elif self._uid is None:
            self._uid = self._uids.take()
        if owner != (os.geteuid() if self._uid is None else self._uid):
            # What somebody else has written is not to be trusted, nor can it be replaced.
            shutil.rmtree(self._cache)
            self._cache.mkdir(mode=0o700)
            if self._uid is not None:
                os.chown(self._cache, self._uid, self._uid)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)  # with the compiler that it may have started
            self._process.wait()
            self._process = None
