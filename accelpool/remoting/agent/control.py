# SPDX-License-Identifier: Apache-2.0
"""The control socket: what the host's conductor asks, as versioned JSON lines (mode 0600).

Request ``{"v": 1, "id": n, "method": "...", "params": {...}}``; answer with the same id and ``result`` or
``error {code, message}``.  After ``watch`` the connection carries events.
"""

import asyncio
import json
import logging
import os
import pathlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

from accelpool import errors
from accelpool.remoting.agent import credential
from accelpool.remoting.agent.admission import Admission
from accelpool.remoting.agent.frontdoor import FrontDoor
from accelpool.remoting.agent.sessions import Sessions
from accelpool.types import Slice

LOG = logging.getLogger(__name__)

VERSION = 1
LINE_MAX = 1 << 20


class Control:
    """Answers a conductor."""

    def __init__(self, host_key: bytes, about: dict[str, Any], renewable: int) -> None:
        """
        :param about: what ``hello`` says
        :param renewable: seconds from an attachment request on in which the agent renews its credentials
        """
        self._key = host_key
        self._renewable = renewable
        self._about = about
        self._watchers: set[asyncio.StreamWriter] = set()
        self.sessions: Sessions
        self.admission: Admission
        self.door: FrontDoor

    def event(self, name: str, **fields: Any) -> None:
        """Tell everybody who watches."""
        line = json.dumps({'v': VERSION, 'event': name, **fields}).encode() + b'\n'
        for watcher in list(self._watchers):
            if watcher.transport.get_write_buffer_size() > LINE_MAX:
                watcher.transport.abort()  # it does not listen; when it comes back it learns how things are
            else:
                watcher.write(line)

    async def listen(self, path: pathlib.Path) -> asyncio.Server:
        """Serve at ``path``; nobody but this user can connect, not even for a moment."""
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            return await asyncio.start_unix_server(self._serve, str(path), limit=LINE_MAX)
        finally:
            os.umask(before)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line, writer)).encode() + b'\n')
                await writer.drain()
        except (OSError, ValueError):  # gone, or a line without end
            pass
        finally:
            self._watchers.discard(writer)
            writer.close()

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> dict[str, Any]:
        number = None
        try:
            request = json.loads(line)
            number = request.get('id')
            method = self._methods().get(request.get('method'))
            if request.get('v') != VERSION or method is None:
                raise errors.InvalidRequest(f'version {request.get("v")} or method {request.get("method")} is unknown')
            if request['method'] == 'watch':
                self._watchers.add(writer)
            result = await method(**request.get('params', {}))
            return {'v': VERSION, 'id': number, 'result': result}
        except errors.AccelpoolError as failure:
            return _error(number, failure.code, failure.detail)
        except (AttributeError, KeyError, TypeError, ValueError) as failure:
            return _error(number, errors.InvalidRequest.code, f'the request is malformed: {failure}')
        except Exception as failure:
            LOG.exception('A request of the conductor failed')
            return _error(number, errors.DriverError.code, f'the agent failed: {failure}')

    def _methods(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        return {'hello': self._hello, 'bind': self._bind, 'unbind': self._unbind, 'attach': self._attach,
                'holder': self._holder, 'route': self._route, 'slices': self._slices, 'usage': self._usage,
                'watch': self._watch}

    async def _hello(self) -> dict[str, Any]:
        return self._about

    async def _bind(self, slice: dict[str, Any], project: str, device: dict[str, Any]) -> dict[str, Any]:
        await self.sessions.bind(Slice.from_dict(slice), project, device)
        return {}

    async def _unbind(self, slice_id: str) -> dict[str, Any]:
        return {'sessions_ended': await self.sessions.unbind(slice_id)}

    async def _attach(self, slice_id: str, allocation_id: str, generation: int, lifetime: int) -> dict[str, Any]:
        state = self.sessions.slices.get(slice_id)
        if state is None or state.slice.allocation_id != allocation_id or state.slice.generation != generation:
            raise errors.NotFound(f'Slice {slice_id} is not bound here')
        if state.no_sessions:
            raise errors.NotSupported(state.no_sessions)
        now = int(time.time())
        claims = credential.Claims(
            allocation_id, slice_id, generation, now + lifetime, max(lifetime, 0), now + self._renewable)
        return {**self._minted(claims), 'urls': self._about['advertise']}

    async def _holder(self, allocation_id: str, lifetime: int) -> dict[str, Any]:
        claims = credential.Claims(allocation_id, credential.HOLDER, 0, int(time.time()) + lifetime)
        return {**self._minted(claims), 'url': self._about['data_socket']}

    async def _route(self, allocation_id: str, urls: list[dict[str, str]], lifetime: int) -> dict[str, Any]:
        return {'ways': self.door.ways(allocation_id, urls, lifetime)}

    def _minted(self, claims: credential.Claims) -> dict[str, Any]:
        return {'credential': str(credential.mint(self._key, claims)), 'expires': claims.expires}

    async def _slices(self) -> list[dict[str, Any]]:
        return self.sessions.report()

    async def _usage(self) -> dict[str, Any]:
        return {**self.sessions.usage(), 'holders': self.admission.holders}

    async def _watch(self) -> dict[str, Any]:
        return {'holders': self.admission.holders}


def _error(number: Any, code: str, message: str) -> dict[str, Any]:
    return {'v': VERSION, 'id': number, 'error': {'code': code, 'message': message}}
