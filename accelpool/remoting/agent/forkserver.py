# SPDX-License-Identifier: Apache-2.0
"""The fork server as a child of the agent: it starts workers in milliseconds and reaps them."""

import os
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence

from accelpool.remoting import artefacts
from accelpool.remoting.agent import packets


def _for_workers(name: str) -> bool:
    """Whether a session may see this variable of the agent's: what a loader or a sanitizer needs, no secrets."""
    return name in {'PATH', 'LD_LIBRARY_PATH', 'LANG', 'TZ'} or name.startswith('LC_') or name.endswith('SAN_OPTIONS')


class ForkServer:
    """Starts and kills workers by a session number of the agent's choice."""

    def __init__(self, on_exit: Callable[[int, int], None], on_close: Callable[[], None]) -> None:
        """
        :param on_exit: told the session and its wait status (-1: it could not be started)
        :param on_close: told that the fork server itself has ended
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [str(artefacts.worker()), '--fork-server'], pass_fds=[3], start_new_session=True,
                env={name: value for name, value in os.environ.items() if _for_workers(name)},
                preexec_fn=lambda: os.dup2(theirs.fileno(), 3))
        self._on_exit = on_exit
        self._channel = packets.Channel(ours, self._packet, on_close)

    def spawn(self, session: int, parameters: Mapping[str, str], descriptors: Sequence[int]) -> bool:
        """Start a worker; ``descriptors``: session socket, control socket."""
        blob = b''.join(f'{key}\0{value}\0'.encode() for key, value in parameters.items())
        return self._channel.send(packets.SPAWN, session, blob=blob, descriptors=descriptors)

    def kill(self, session: int) -> None:
        self._channel.send(packets.KILL, session)

    def close(self) -> None:
        """End the fork server, and with it whatever it has started."""
        self._channel.close()
        self._process.wait()

    def _packet(self, packet: packets.Packet) -> None:
        if packet.type == packets.EXITED:
            self._on_exit(packet.id, packet.b)
        elif packet.type == packets.FAILED:
            self._on_exit(packet.id, -1)
