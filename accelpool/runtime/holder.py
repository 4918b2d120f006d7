# SPDX-License-Identifier: Apache-2.0
"""The holder connection: while it is open the local agent knows that the consumer lives.

The kernel closes it when the process dies, however it dies; the agent then gives everything back.
"""

import hmac
import os
import socket
from urllib import parse

from accelpool.remoting import handshake


class HolderRefused(Exception):
    """The agent does not take this holder; the message says why."""


def connect(url: str, credential: str) -> socket.socket:
    """Open a holder connection to the agent at ``url`` (``unix://`` only: it must be this machine).

    Raises HolderRefused or OSError.
    """
    where = parse.urlsplit(url)
    if where.scheme != 'unix':
        raise HolderRefused(f'a holder connects to its own machine, not to {url}')
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(handshake.MAX_SECONDS)
        connection.connect(where.path)
        _greet(connection, handshake.Credential.parse(credential))
        connection.settimeout(None)
    except handshake.Malformed as failure:
        connection.close()
        raise HolderRefused(str(failure)) from failure
    except BaseException:
        connection.close()
        raise
    return connection


def _greet(connection: socket.socket, credential: handshake.Credential) -> None:
    nonce = os.urandom(handshake.NONCE)
    connection.sendall(handshake.hello(handshake.KIND_HOLDER, credential.claims, nonce))
    transport, agent_nonce, proof = handshake.parse_challenge(_receive(connection, handshake.CHALLENGE))
    if not hmac.compare_digest(proof, handshake.agent_proof(credential.key, transport, nonce, agent_nonce)):
        raise HolderRefused('the agent could not prove that it is the right one')
    answer = handshake.client_proof(credential.key, transport, nonce, agent_nonce)
    connection.sendall(handshake.frame(handshake.PROOF, answer))
    _receive(connection, handshake.WELCOME)


def _receive(connection: socket.socket, wanted: int) -> bytes:
    length, opcode = handshake.parse_header(_exactly(connection, handshake.HEADER.size))
    payload = _exactly(connection, length)
    if opcode == handshake.REFUSED:
        raise HolderRefused(handshake.parse_refused(payload)[1])
    if opcode != wanted:
        raise HolderRefused(f'the agent answered with frame {opcode} instead of {wanted}')
    return payload


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b''
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            raise HolderRefused('the agent closed the connection')
        data += chunk
    return data
