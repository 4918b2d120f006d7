# SPDX-License-Identifier: Apache-2.0
"""The way to other hosts' agents for a consumer that knows only its own: it shows a ticket and is connected onwards.

Over a unix socket the consumer gets the new connection itself (SCM_RIGHTS), so this agent is out of the data path and
the end of either side is the end of the connection.  Over TCP a process of the fork server passes the bytes on.  Either
way the session's own handshake and its TLS are between the consumer and the agent that has the device; nothing of it is
readable here.
"""

import asyncio
import ipaddress
import os
import socket
import time
from collections.abc import Callable, Sequence

from accelpool.remoting import handshake
from accelpool.remoting.agent import credential
from accelpool.remoting.agent.refusal import BAD, BUSY, EXPIRED, Refused

#: Milliseconds after which a silent peer on a broken network is given up (as native/client/dial.c has it).
_NETWORK_MS = 20_000


class FrontDoor:
    """Connects consumers of this host onwards."""

    def __init__(self, host_key: bytes, own: list[dict[str, str]], doors: Sequence[str],
                 pass_on: Callable[[socket.socket, socket.socket], bool], renewable: int) -> None:
        """
        :param own: what this agent advertises
        :param doors: URLs at which the consumers of this host find it
        :param pass_on: has a process pass bytes on between two sockets; False: there are as many as there can be
        :param renewable: seconds in which credentials are renewed; tickets are good for as long
        """
        self._key = host_key
        self._own = {place['url'] for place in own}
        self._doors = doors
        self._pass_on = pass_on
        self._renewable = renewable

    def ways(self, allocation_id: str, urls: list[dict[str, str]], lifetime: int) -> list[list[dict[str, str]]]:
        """Return, for each place, how a consumer of this host reaches it through here.

        :param urls: where the agent with the device is; its url and network each
        :param lifetime: seconds for which a credential is good
        :raises ValueError: a URL that this agent cannot connect to
        """
        found = []
        for place in urls:
            if place['url'] in self._own:  # the device is here
                found.append([{'url': door, 'network': place['network']} for door in self._doors])
                continue
            scheme, _, where = place['url'].partition('://')
            address, _, port = where.rpartition(':')
            if scheme != 'tcp' or not port.isdecimal():
                raise ValueError(f'{place["url"]} is not tcp://<address>:<port>')
            expires = int(time.time()) + lifetime + self._renewable
            ticket = credential.Route(allocation_id, address, int(port), expires).mint(self._key)
            found.append([{**place, 'via': door, 'ticket': ticket} for door in self._doors])
        return found

    async def route(self, connection: socket.socket, ticket: bytes) -> None:
        """Connect the bearer of a ticket onwards; the caller closes ``connection`` afterwards.

        :raises Refused, credential.Malformed: it is not to be
        """
        if connection.family != socket.AF_UNIX and not ipaddress.ip_address(connection.getsockname()[0]).is_loopback:
            raise Refused(BAD, 'only consumers of this machine are connected onwards')
        route = credential.Route.check(self._key, ticket)
        if route.expires < time.time():
            raise Refused(EXPIRED, 'the ticket has expired; ask for the attachment again')
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as onwards:
            onwards.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(onwards, (route.address, route.port))
            except OSError as failure:
                why = os.strerror(failure.errno) if failure.errno else failure
                raise Refused(BAD, f'tcp://{route.address}:{route.port}: {why}') from failure
            _prepare(onwards)
            routed = handshake.frame(handshake.ROUTED)
            if connection.family == socket.AF_UNIX:
                socket.send_fds(connection, [routed], [onwards.fileno()])
            elif self._pass_on(connection, onwards):
                connection.send(routed)
            else:
                raise Refused(BUSY, 'this agent passes on for as many consumers as it can')


def _prepare(onwards: socket.socket) -> None:
    onwards.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    onwards.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    onwards.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _NETWORK_MS)
