# SPDX-License-Identifier: Apache-2.0
"""Credentials of sessions and holders: minted and checked by the same agent, with its own clock.

A credential is ``v2:<allocation>:<slice>:<generation>:<expiry>:<lifetime>:<until>:<K>``; everything before the last
colon are the claims, and K = HMAC-SHA256(host key, claims) in hex.  Nothing is stored: the agent computes K again from
the claims that a client shows, so the one secret is the host key.  A holder's credential has ``holder`` for its slice.
Up to ``until`` a credential that is still good is renewed for whoever has it: good for ``lifetime`` seconds again, with
the same ``until``.

A ticket ``r1:<allocation>:<address>:<port>:<expiry>:<MAC>`` of the same make lets its bearer, who is on this machine,
be connected onwards to that address.  It says nothing to the agent there: that one wants a credential of its own.
"""

import contextlib
import hmac
import os
import pathlib
import re
import secrets
from typing import NamedTuple, Self

from accelpool.remoting import handshake

VERSION = 'v2'
TICKET = 'r1'
HOLDER = 'holder'
KEY_BYTES = 32
_NAME = re.compile(r'[0-9A-Za-z-]{1,64}')
_NUMBER = re.compile(r'0|[1-9][0-9]{0,18}')


class Malformed(ValueError):
    """Text that no agent has minted."""


class Claims(NamedTuple):
    """What a credential says; true only together with K."""

    allocation_id: str
    slice_id: str        # or HOLDER
    generation: int
    expires: int         # unix seconds
    lifetime: int = 0    # seconds that it is good for when it is renewed
    until: int = 0       # unix seconds: then it is renewed no more

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read claims.  :raises Malformed:"""
        parts = text.split(':')
        if len(parts) != 7 or parts[0] != VERSION:
            raise Malformed('the claims are not of a kind that this agent knows')
        _version, allocation_id, slice_id, *numbers = parts
        if not (_NAME.fullmatch(allocation_id) and _NAME.fullmatch(slice_id) and all(map(_NUMBER.fullmatch, numbers))):
            raise Malformed('the claims contain something that they cannot')
        return cls(allocation_id, slice_id, *map(int, numbers))

    def __str__(self) -> str:
        return ':'.join((VERSION, *map(str, self)))

    def renewed(self, now: int) -> Self:
        """Return the claims of a credential in this one's place."""
        return self._replace(expires=now + self.lifetime)


class Route(NamedTuple):
    """What a ticket says: where its bearer may be connected to."""

    allocation_id: str
    address: str         # IPv4
    port: int
    expires: int         # unix seconds

    @classmethod
    def check(cls, host_key: bytes, ticket: bytes) -> Self:
        """Read a ticket.  :raises Malformed: this host did not mint it"""
        claims, _, mac = ticket.decode('ascii', 'replace').rpartition(':')
        genuine = hmac.compare_digest(mac.encode(), derive(host_key, claims).hex().encode())
        if not genuine or not claims.startswith(f'{TICKET}:'):
            raise Malformed('the ticket is not of this agent')
        allocation_id, address, port, expires = claims.split(':')[1:]
        return cls(allocation_id, address, int(port), int(expires))

    def mint(self, host_key: bytes) -> str:
        """Return the ticket."""
        claims = f'{TICKET}:{self.allocation_id}:{self.address}:{self.port}:{self.expires}'
        return f'{claims}:{derive(host_key, claims).hex()}'


def derive(host_key: bytes, claims: str) -> bytes:
    """Return K, the 32 bytes that prove the claims."""
    return hmac.digest(host_key, claims.encode(), 'sha256')


def mint(host_key: bytes, claims: Claims) -> handshake.Credential:
    """Return the whole credential."""
    return handshake.Credential(str(claims), derive(host_key, str(claims)))


def load_host_key(path: pathlib.Path) -> bytes:
    """Return the host's key, made at the first call (mode 0600, complete or not there at all).

    :raises ValueError: the file is not a key, or others may read it
    """
    try:
        return _read_key(path)
    except FileNotFoundError:
        pass
    temporary = path.with_name(f'.{path.name}.{os.getpid()}')
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, 'wb') as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)  # unlike rename, never replaces the key of an agent that was faster
    finally:
        os.unlink(temporary)
    return _read_key(path)


def _read_key(path: pathlib.Path) -> bytes:
    with open(path, 'rb') as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise ValueError(f'{path} must not be accessible to others; chmod 600 it')
        key = file.read(KEY_BYTES + 1)
    if len(key) != KEY_BYTES:
        raise ValueError(f'{path} is not a host key of {KEY_BYTES} bytes')
    return key
