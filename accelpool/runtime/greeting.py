# SPDX-License-Identifier: Apache-2.0
"""The client's side of the first frames to an agent, for what needs no native library: holders and renewals.

Guests import this module too: Python 3.9 and its standard library.
"""

from __future__ import annotations

import hmac
import os
import socket
from collections.abc import Mapping
from typing import NamedTuple

from accelpool.remoting import handshake


class Refused(Exception):
    """The agent says no, or is not the right one; the message says why."""


class Agreed(NamedTuple):
    """What both ends know after the challenge."""

    key: bytes
    ours: bytes     # nonces
    theirs: bytes


def dial(way: Mapping[str, str]) -> socket.socket:
    """Connect to an agent, by way of the local one where the way says so (``via``, ``ticket``).

    Every further step on the connection takes :data:`handshake.MAX_SECONDS` at most.

    :param way: one of the ``urls`` of an attachment's device
    :raises Refused, OSError:
    """
    connection = _open(way.get('via', way['url']))
    if 'via' not in way:
        return connection
    try:
        connection.sendall(handshake.frame(handshake.ROUTE, way['ticket'].encode()))
        header, descriptors, _, _ = socket.recv_fds(connection, handshake.HEADER.size, 1)
        onwards = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        receive(connection, handshake.ROUTED, header)
    except BaseException:
        connection.close()
        raise
    if not onwards:
        return connection
    connection.close()
    onwards[0].settimeout(handshake.MAX_SECONDS)
    return onwards[0]


def greet(connection: socket.socket, kind: int, credential: str) -> Agreed:
    """Say what we came for, and prove it mutually.

    :raises Refused, OSError:
    """
    try:
        ours = handshake.Credential.parse(credential)
        nonce = os.urandom(handshake.NONCE)
        connection.sendall(handshake.hello(kind, ours.claims, nonce))
        transport, theirs, proof = handshake.parse_challenge(receive(connection, handshake.CHALLENGE))
    except handshake.Malformed as failure:
        raise Refused(str(failure)) from failure
    if not hmac.compare_digest(proof, handshake.agent_proof(ours.key, transport, nonce, theirs)):
        raise Refused('the agent could not prove that it is the right one')
    answer = handshake.client_proof(ours.key, transport, nonce, theirs)
    connection.sendall(handshake.frame(handshake.PROOF, answer))
    return Agreed(ours.key, nonce, theirs)


def receive(connection: socket.socket, wanted: int, begun: bytes = b'') -> bytes:
    """Return the payload of the frame that is due.

    :param begun: what has been read of its header
    :raises Refused, OSError:
    """
    try:
        length, opcode = handshake.parse_header(begun + _exactly(connection, handshake.HEADER.size - len(begun)))
        payload = _exactly(connection, length)
        if opcode == handshake.REFUSED:
            raise Refused(handshake.parse_refused(payload)[1])
    except handshake.Malformed as failure:
        raise Refused(str(failure)) from failure
    if opcode != wanted:
        raise Refused(f'the agent answered with frame {opcode} instead of {wanted}')
    return payload


def _open(url: str) -> socket.socket:
    scheme, _, where = url.partition('://')
    if scheme == 'unix':
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(handshake.MAX_SECONDS)
        try:
            connection.connect(where)
        except BaseException:
            connection.close()
            raise
        return connection
    host, _, port = where.rpartition(':')
    if scheme != 'tcp' or not port.isdecimal():
        raise Refused(f'{url} is no address of an agent')
    return socket.create_connection((host, int(port)), timeout=handshake.MAX_SECONDS)


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b''
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            raise Refused('the agent closed the connection')
        data += chunk
    return data
