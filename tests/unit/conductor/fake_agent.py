# SPDX-License-Identifier: Apache-2.0
"""The agent's control protocol without sessions, so that a conductor can be tested without native parts."""

import contextlib
import json
import pathlib
import socket
import socketserver
import threading
import time
from typing import Any


class FakeAgent:
    """Listens on a unix socket; ``slices`` is what it has been told, ``events()`` speaks to watchers."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.slices: dict[str, dict[str, Any]] = {}
        self.devices: dict[str, dict[str, Any]] = {}
        self.holders: list[str] = []
        self.sessions: dict[str, int] = {}
        self.refuse: dict[str, tuple[str, str]] = {}
        self._watchers: list[Any] = []
        self._connections: set[Any] = set()
        self._lock = threading.Lock()
        self._server: socketserver.ThreadingUnixStreamServer | None = None

    def start(self) -> None:
        self.path.unlink(missing_ok=True)
        agent = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                agent._connections.add(self.connection)
                for line in self.rfile:
                    request = json.loads(line)
                    self.wfile.write(json.dumps(agent._answer(request, self.wfile)).encode() + b'\n')

        self._server = socketserver.ThreadingUnixStreamServer(str(self.path), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Die: every connection closes, everything is forgotten."""
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._connections.clear()
        self._watchers.clear()
        self.slices.clear()

    def event(self, **event: Any) -> None:
        for watcher in self._watchers:
            watcher.write(json.dumps({'v': 1, **event}).encode() + b'\n')

    def watched(self) -> bool:
        return bool(self._watchers)

    def _answer(self, request: dict[str, Any], stream: Any) -> dict[str, Any]:
        method, number = request['method'], request['id']
        if method in self.refuse:
            code, message = self.refuse[method]
            return {'v': 1, 'id': number, 'error': {'code': code, 'message': message}}
        if method == 'watch':
            self._watchers.append(stream)
        try:
            with self._lock:
                return {'v': 1, 'id': number, 'result': getattr(self, f'_{method}')(**request['params'])}
        except KeyError as error:
            return {'v': 1, 'id': number, 'error': {'code': 'not-found', 'message': f'no slice {error}'}}

    def _hello(self) -> dict[str, Any]:
        return {'version': 1, 'pid': 1, 'advertise': [{'url': 'tcp://127.0.0.2:4001', 'network': 'default'}],
                'data_socket': '/data.sock', 'capabilities': {'root': False}}

    def _bind(self, slice: dict[str, Any], project: str, device: dict[str, Any]) -> dict[str, Any]:
        self.slices[slice['id']] = slice
        self.devices[slice['id']] = device
        return {}

    def _unbind(self, slice_id: str) -> dict[str, Any]:
        del self.slices[slice_id]
        return {'sessions_ended': 0}

    def _attach(self, slice_id: str, allocation_id: str, generation: int, lifetime: int) -> dict[str, Any]:
        assert self.slices[slice_id]['generation'] == generation
        return {'credential': f'v1:{allocation_id}:{slice_id}', 'expires': int(time.time()) + lifetime,
                'urls': self._hello()['advertise']}

    def _holder(self, allocation_id: str, lifetime: int) -> dict[str, Any]:
        return {'credential': f'v1:{allocation_id}:holder', 'expires': int(time.time()) + lifetime,
                'url': 'unix:///data.sock'}

    def _slices(self) -> list[dict[str, Any]]:
        return [{'slice_id': key, 'allocation_id': value.get('allocation_id'),
                 'generation': value['generation'], 'sessions': self.sessions.get(key, 0),
                 'allocated_bytes': 0, 'charged_bytes': 0, 'device_ns': 0, 'launches': 0}
                for key, value in self.slices.items()]

    def _usage(self) -> dict[str, Any]:
        return {'slices': self._slices(), 'devices': [], 'holders': self.holders}

    def _watch(self) -> dict[str, Any]:
        return {'holders': self.holders}
