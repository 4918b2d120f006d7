# SPDX-License-Identifier: Apache-2.0
"""The conductor's side of the agent's control socket: JSON lines, one answer for each request.

Every request may be repeated without harm, so one that meets a connection of an agent that has gone is sent
again to the agent that has come.
"""

import collections
import contextlib
import itertools
import json
import pathlib
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from accelpool import errors
from accelpool.types import Slice

VERSION = 1

#: Errors that an agent may answer with, by their code.
CODES = {cls.code: cls for cls in (
    errors.NotFound, errors.Conflict, errors.InvalidRequest, errors.NotSupported, errors.DriverError)}


class Agent(Protocol):
    """What a conductor wants of its host's agent."""

    def bind(self, wanted: Slice, project: str, device: dict[str, Any]) -> None:
        """Admit sessions to a slice; known already = nothing happens."""

    def unbind(self, slice_id: str) -> None:
        """End a slice's sessions and forget it; returns when their workers are dead."""

    def attach(self, wanted: Slice, lifetime: int) -> dict[str, Any]:
        """Return credential, expires and urls for one slice.  :raises NotFound: the agent lacks it"""

    def holder(self, allocation_id: str, lifetime: int) -> dict[str, Any]:
        """Return credential, expires and url for a holder connection."""

    def route(self, allocation_id: str, urls: list[dict[str, str]], lifetime: int) -> list[list[dict[str, str]]]:
        """Return, for each place, how a consumer of this host reaches it through the agent."""

    def slices(self) -> list[dict[str, Any]]:
        """Return every bound slice with what it uses."""

    def usage(self) -> dict[str, Any]:
        """Return what slices and devices use, and which allocations have a holder."""

    def hello(self) -> dict[str, Any]:
        """Return what the agent is."""


class _Connection:
    """One connection; one request at a time."""

    def __init__(self, path: pathlib.Path, timeout: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(str(path))
        except BaseException:
            self._socket.close()
            raise
        self._lines = self._socket.makefile('rb')
        self._numbers = itertools.count(1)

    def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """:raises OSError: the agent went away or did not answer in time"""
        number = self.send(method, params)
        answer = self.line()
        if answer.get('id') != number:
            raise OSError(f'answer {answer.get("id")} came to request {number}')
        return answer

    def send(self, method: str, params: dict[str, Any]) -> int:
        """Send a request and return its number."""
        number = next(self._numbers)
        request = {'v': VERSION, 'id': number, 'method': method, 'params': params}
        self._socket.sendall(json.dumps(request).encode() + b'\n')
        return number

    def line(self) -> dict[str, Any]:
        """Return the next line.  :raises OSError: the agent closed the connection, or sent something else"""
        text = self._lines.readline()
        if not text.endswith(b'\n'):
            raise ConnectionResetError('the agent closed the connection')
        try:
            content = json.loads(text)
        except ValueError as error:
            raise OSError(f'the agent sent something that is not JSON: {error}') from error
        if not isinstance(content, dict):
            raise OSError('the agent sent something that is not an object')
        return content

    def forget_timeout(self) -> None:
        self._socket.settimeout(None)

    def shutdown(self) -> None:
        """Wake a thread that reads, from another thread."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


class AgentClient:
    """Any number of threads may ask at a time; idle connections are kept for the next request."""

    def __init__(self, path: pathlib.Path, timeout: float, advertise: Sequence[str] = ()) -> None:
        """
        :param path: the control socket
        :param timeout: seconds to wait for an answer
        :param advertise: ``<url> <network>`` each: where consumers reach the agent; empty: as it says itself
        """
        self._places = [dict(zip(('url', 'network'), place.split(), strict=True)) for place in advertise]
        self._path = path
        self._timeout = timeout
        self._idle: collections.deque[_Connection] = collections.deque()
        self._watching: _Connection | None = None
        self._closed = threading.Event()

    def hello(self) -> dict[str, Any]:
        answer = self._ask('hello')
        return {**answer, 'advertise': self._places} if self._places else answer

    def bind(self, wanted: Slice, project: str, device: dict[str, Any]) -> None:
        self._ask('bind', slice=wanted.to_dict(), project=project, device=device)

    def unbind(self, slice_id: str) -> None:
        with contextlib.suppress(errors.NotFound):
            self._ask('unbind', slice_id=slice_id)

    def attach(self, wanted: Slice, lifetime: int) -> dict[str, Any]:
        answer = self._ask('attach', slice_id=wanted.id, allocation_id=wanted.allocation_id,
                           generation=wanted.generation, lifetime=lifetime)
        return {**answer, 'urls': self._places} if self._places else answer

    def holder(self, allocation_id: str, lifetime: int) -> dict[str, Any]:
        return self._ask('holder', allocation_id=allocation_id, lifetime=lifetime)

    def route(self, allocation_id: str, urls: list[dict[str, str]], lifetime: int) -> list[list[dict[str, str]]]:
        ways: list[list[dict[str, str]]] = self._ask(
            'route', allocation_id=allocation_id, urls=urls, lifetime=lifetime)['ways']
        return ways

    def slices(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask('slices')  # type: ignore[assignment]  # the only list
        return found

    def usage(self) -> dict[str, Any]:
        return self._ask('usage')

    def watch(self) -> Iterator[dict[str, Any]]:
        """Yield the agent's events until it goes away or :meth:`close` is called.

        Being connected is itself an event: ``{'event': 'connected'}`` stands for that.

        :raises AgentUnavailable: it is not there
        """
        try:
            connection = self._watching = _Connection(self._path, self._timeout)
        except OSError as error:
            raise errors.AgentUnavailable(f'The agent at {self._path} does not answer: {error}') from error
        try:
            connection.send('watch', {})
            while not self._closed.is_set():
                line = connection.line()
                if 'event' in line:  # the first may come before the answer
                    yield line
                else:
                    _result(line)
                    connection.forget_timeout()
                    yield {'event': 'connected'}
        except OSError:
            return
        finally:
            self._watching = None
            connection.close()

    def close(self) -> None:
        """Close every connection; requests in progress end with an error."""
        self._closed.set()
        if (watching := self._watching) is not None:
            watching.shutdown()
        while self._idle:
            self._idle.pop().close()

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        failure: OSError | None = None
        while True:
            try:
                connection, fresh = self._idle.pop(), False
            except IndexError:
                try:
                    connection, fresh = _Connection(self._path, self._timeout), True
                except OSError as error:
                    failure = error
                    break
            try:
                answer = connection.ask(method, params)
            except OSError as error:
                connection.close()
                # An idle connection of a former agent says nothing about the present one: go on.
                if fresh or isinstance(error, TimeoutError):
                    failure = error
                    break
                continue
            self._idle.append(connection)
            return _result(answer)
        raise errors.AgentUnavailable(f'The agent at {self._path} does not answer: {failure}') from failure


def _result(answer: dict[str, Any]) -> dict[str, Any]:
    error = answer.get('error')
    if error is None:
        result: dict[str, Any] = answer.get('result', {})
        return result
    raise CODES.get(error.get('code', ''), errors.DriverError)(error.get('message', 'the agent refused'))
