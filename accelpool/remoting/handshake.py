# SPDX-License-Identifier: Apache-2.0
"""The first frames of a connection to an agent, as bytes; no I/O here.

Both sides prove that they know K, the secret half of a credential, without sending it: each signs
both nonces and what will carry the session.  The C twin of these layouts is native/common/wire.h.

A credential reads ``<claims>:<K, 64 hex digits>``; the claims are the agent's business (agent/credential.py) and
travel in clear.

After PROOF the agent says SECURE where the session goes on inside TLS; its worker is the server of that.  A client that
knows only its own agent sends ROUTE with a ticket first; from ROUTED on it speaks with the agent that the ticket names.
A client that came for a fresh credential gets RENEWED, and the connection ends.

Guests import this module too: Python 3.9 and its standard library.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import struct
from typing import NamedTuple

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
_RENEWED = struct.Struct('<Q32s32s')    # expiry, masked K, proof; the claims follow

HELLO, CHALLENGE, PROOF, WELCOME, REFUSED, SECURE, ROUTE, ROUTED, RENEWED = 1, 2, 3, 4, 5, 26, 27, 28, 30
KIND_SESSION, KIND_HOLDER, KIND_RENEWAL = 1, 2, 3


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
    def parse(cls, text: str) -> Credential:
        """Split a credential.  Raises Malformed."""
        claims, _, secret = text.rpartition(':')
        try:
            key = bytes.fromhex(secret)
        except ValueError:
            key = b''
        if not claims or len(key) != hashlib.sha256().digest_size:
            raise Malformed('this is not a session credential')
        return cls(claims, key)

    def __str__(self) -> str:
        return f'{self.claims}:{self.key.hex()}'


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
    if len(claims) != length or kind not in {KIND_SESSION, KIND_HOLDER, KIND_RENEWAL}:
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


def renewed(key: bytes, client_nonce: bytes, agent_nonce: bytes, fresh: Credential, expires: int) -> bytes:
    """Return a fresh credential in a frame that only the holder of ``key`` can read, and nobody else can make.

    Its secret is masked by 32 bytes of this connection alone: a one-time pad, for the agent's nonce never repeats.

    :param expires: unix seconds
    """
    masked = _xor(fresh.key, _pad(key, client_nonce, agent_nonce))
    claims = fresh.claims.encode()
    proof = _renewal_proof(key, client_nonce, agent_nonce, expires, masked, claims)
    return frame(RENEWED, _RENEWED.pack(expires, masked, proof) + claims)


def parse_renewed(key: bytes, client_nonce: bytes, agent_nonce: bytes, payload: bytes) -> tuple[Credential, int]:
    """Return the fresh credential, and when it expires.  Raises Malformed."""
    if len(payload) < _RENEWED.size:
        raise Malformed('the fresh credential is too short')
    expires, masked, proof = _RENEWED.unpack_from(payload)
    claims = payload[_RENEWED.size:]
    if not hmac.compare_digest(proof, _renewal_proof(key, client_nonce, agent_nonce, expires, masked, claims)):
        raise Malformed('the fresh credential is not from this agent')
    return Credential(claims.decode('ascii'), _xor(masked, _pad(key, client_nonce, agent_nonce))), expires


def _pad(key: bytes, client_nonce: bytes, agent_nonce: bytes) -> bytes:
    return hmac.digest(key, b'renewal' + client_nonce + agent_nonce, 'sha256')


def _renewal_proof(key: bytes, client_nonce: bytes, agent_nonce: bytes, expires: int, masked: bytes,
                   claims: bytes) -> bytes:
    content = client_nonce + agent_nonce + _RENEWED.pack(expires, masked, b'') + claims
    return hmac.digest(key, b'renewed' + content, 'sha256')


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other))  # noqa: B905  strict= is newer than 3.9; both are digests
