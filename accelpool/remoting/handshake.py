# SPDX-License-Identifier: Apache-2.0
"""The first frames of a connection to an agent, as bytes; no I/O here.

Both sides prove that they know K, the secret half of a credential, without sending it: each signs
both nonces and what will carry the session.  The C twin of these layouts is native/common/wire.h.

A credential reads ``v1:<allocation>:<slice>:<generation>:<expiry>:<K, 64 hex digits>``; everything
before the last colon is the *claims*, which travel in clear.

After PROOF the agent says SECURE where the session goes on inside TLS; its worker is the server of that.  A client that
knows only its own agent sends ROUTE with a ticket first; from ROUTED on it speaks with the agent that the ticket names.
"""

import enum
import hashlib
import hmac
import struct
from typing import NamedTuple, Self

MAGIC = 0x4C504341            # "ACPL"
VERSION = 1
NONCE = 32                    # bytes
#: An unauthenticated peer may send this much, and take this long, at most (DESIGN section 6).
MAX_BYTES = 4096
MAX_SECONDS = 5.0

HEADER = struct.Struct('<IHHQ')         # payload length, opcode, flags, sequence
_HELLO = struct.Struct('<IHHHH32s')     # magic, version min / max, kind, length of claims, nonce
_CHALLENGE = struct.Struct('<HHI32s32s')  # version, 0, transport, nonce, proof
_TRANSPORT = struct.Struct('<I')
_REFUSED = struct.Struct('<I')

HELLO, CHALLENGE, PROOF, WELCOME, REFUSED, SECURE, ROUTE, ROUTED = 1, 2, 3, 4, 5, 26, 27, 28
KIND_SESSION, KIND_HOLDER = 1, 2


class Transport(enum.IntEnum):
    """What carries the session after PROOF."""

    PLAIN = 0            # unix sockets and 127.0.0.0/8 only
    TLS_PSK = 1
    TLS_CERTIFICATE = 2


class Malformed(ValueError):
    """Bytes that are not what the handshake says they must be."""


class OtherVersion(Malformed):
    """The peer speaks other versions of the protocol only."""


class Credential(NamedTuple):
    """A credential taken apart."""

    claims: str
    key: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Split a credential.  Raises Malformed."""
        claims, _, secret = text.rpartition(':')
        try:
            key = bytes.fromhex(secret)
        except ValueError:
            key = b''
        if not claims or len(key) != hashlib.sha256().digest_size:
            raise Malformed('this is not a session credential')
        return cls(claims, key)


class Hello(NamedTuple):
    """What a client says first."""

    kind: int
    claims: str
    nonce: bytes


def frame(opcode: int, payload: bytes = b'') -> bytes:
    """Return one frame of the handshake (flags and sequence are zero)."""
    return HEADER.pack(len(payload), opcode, 0, 0) + payload


def parse_header(data: bytes) -> tuple[int, int]:
    """Return (payload length, opcode).  Raises Malformed when it is too long for a handshake."""
    length, opcode, _flags, _sequence = HEADER.unpack(data)
    if length > MAX_BYTES - HEADER.size:
        raise Malformed(f'a handshake frame of {length} bytes is too long')
    return length, opcode


def hello(kind: int, claims: str, nonce: bytes) -> bytes:
    encoded = claims.encode()
    return frame(HELLO, _HELLO.pack(MAGIC, VERSION, VERSION, kind, len(encoded), nonce) + encoded)


def parse_hello(payload: bytes) -> Hello:
    """Raises Malformed."""
    if len(payload) < _HELLO.size:
        raise Malformed('the greeting is too short')
    magic, oldest, newest, kind, length, nonce = _HELLO.unpack_from(payload)
    if magic != MAGIC:
        raise Malformed('this is not an accelpool client')
    if not oldest <= VERSION <= newest:
        raise OtherVersion(f'protocol versions {oldest}-{newest} do not include {VERSION}')
    claims = payload[_HELLO.size:]
    if len(claims) != length or kind not in {KIND_SESSION, KIND_HOLDER}:
        raise Malformed('the greeting contradicts itself')
    try:
        return Hello(kind, claims.decode('ascii'), nonce)
    except UnicodeDecodeError as failure:
        raise Malformed('the claims are not ASCII') from failure


def challenge(transport: Transport, nonce: bytes, proof: bytes) -> bytes:
    return frame(CHALLENGE, _CHALLENGE.pack(VERSION, 0, transport, nonce, proof))


def parse_challenge(payload: bytes) -> tuple[Transport, bytes, bytes]:
    """Return (what will carry the session, the agent's nonce, its proof).  Raises Malformed."""
    if len(payload) != _CHALLENGE.size:
        raise Malformed('the challenge has a wrong size')
    _version, _, transport, nonce, proof = _CHALLENGE.unpack(payload)
    try:
        return Transport(transport), nonce, proof
    except ValueError as failure:
        raise Malformed(f'transport {transport} is unknown') from failure


def refused(code: int, message: str) -> bytes:
    return frame(REFUSED, _REFUSED.pack(code) + message.encode()[:1024])


def parse_refused(payload: bytes) -> tuple[int, str]:
    if len(payload) < _REFUSED.size:
        raise Malformed('the refusal is too short')
    return _REFUSED.unpack_from(payload)[0], payload[_REFUSED.size:].decode(errors='replace')


def agent_proof(key: bytes, transport: Transport, client_nonce: bytes, agent_nonce: bytes) -> bytes:
    return hmac.digest(key, b'agent' + _TRANSPORT.pack(transport) + client_nonce + agent_nonce, 'sha256')


def client_proof(key: bytes, transport: Transport, client_nonce: bytes, agent_nonce: bytes) -> bytes:
    return hmac.digest(key, b'client' + _TRANSPORT.pack(transport) + client_nonce + agent_nonce, 'sha256')


def tls_key(key: bytes, client_nonce: bytes, agent_nonce: bytes) -> bytes:
    """Return the key that is pre-shared for the TLS of this connection, and of no other."""
    return hmac.digest(key, b'tls' + client_nonce + agent_nonce, 'sha256')
