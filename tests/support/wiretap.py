# SPDX-License-Identifier: Apache-2.0
"""Somebody on the network between a client and an agent: records what passes, and changes it if told to."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self

#: What test programs send and somebody on the wire would look for.
MARKER = b'nobody on the wire may read this'


class Wiretap:
    """Listens, connects every connection onwards to ``url``, and keeps what goes each way."""

    def __init__(self, url: str, change: Callable[[bytes], bytes] = lambda data: data) -> None:
        """
        :param url: ``tcp://...`` of the agent
        :param change: applied to whatever the agent says
        """
        host, _, port = url.removeprefix('tcp://').rpartition(':')
        self._onwards = (host, int(port))
        self._change = change
        self.said, self.answered = bytearray(), bytearray()
        self._listener = socket.create_server(('127.0.0.1', 0))
        self.url = 'tcp://{}:{}'.format(*self._listener.getsockname())
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Connect nobody any more."""
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                agent = socket.create_connection(self._onwards)
                for way in ((client, agent, self.said, bytes), (agent, client, self.answered, self._change)):
                    threading.Thread(target=self._pass_on, args=way, daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, sink: socket.socket, record: bytearray, change: Callable[[bytes], bytes]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                record += data
                sink.sendall(change(data))
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
