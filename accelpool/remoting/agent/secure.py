# SPDX-License-Identifier: Apache-2.0
"""What carries a session: plaintext inside this machine, TLS 1.3 anywhere else, as the operator chose.

The agent decides and says so in its challenge; the TLS itself ends in the session's worker.
"""

import dataclasses
import ipaddress
import pathlib
import socket
import stat
from typing import Self

from accelpool.remoting.handshake import Transport

#: What ``--tls`` may say.
CHOICES = {'psk': Transport.TLS_PSK, 'certificates': Transport.TLS_CERTIFICATE}


@dataclasses.dataclass(frozen=True)
class Certificates:
    """PEM texts: of the authority that signs everybody's, and this host's own."""

    authority: str
    certificate: str
    private_key: str = dataclasses.field(repr=False)

    @classmethod
    def load(cls, directory: pathlib.Path) -> Self:
        """Read ``ca.pem``, ``server.pem`` and ``server.key``.

        :raises OSError: one is not there
        :raises ValueError: others may read the key
        """
        key = directory / 'server.key'
        if stat.S_IMODE(key.stat().st_mode) & 0o077:
            raise ValueError(f'{key} must not be accessible to others; chmod 600 it')
        return cls((directory / 'ca.pem').read_text(), (directory / 'server.pem').read_text(), key.read_text())


@dataclasses.dataclass(frozen=True)
class Policy:
    """The operator's choice."""

    transport: Transport = Transport.TLS_PSK     # outside of this machine
    certificates: Certificates | None = None     # with TLS_CERTIFICATE
    loopback: bool = False                       # also inside 127.0.0.0/8

    def choose(self, connection: socket.socket) -> Transport:
        """Return what a connection's session goes over; only our own end decides, for the peer could be anybody."""
        if connection.family == socket.AF_UNIX:
            return Transport.PLAIN
        local = ipaddress.ip_address(connection.getsockname()[0])
        return Transport.PLAIN if local.is_loopback and not self.loopback else self.transport

    def parameters(self, transport: Transport, key: bytes) -> dict[str, str]:
        """Return what a worker must know for its end.

        :param key: handshake.tls_key() of the connection
        """
        if transport == Transport.PLAIN:
            return {}
        found = {'transport': str(int(transport)), 'tls_key': key.hex()}
        if transport == Transport.TLS_CERTIFICATE:
            assert self.certificates is not None
            found |= {'tls_authority': self.certificates.authority, 'tls_certificate': self.certificates.certificate,
                      'tls_private_key': self.certificates.private_key}
        return found
