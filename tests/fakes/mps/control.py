# SPDX-License-Identifier: Apache-2.0
"""nvidia-cuda-mps-control for tests: a daemon for each pipe directory, its server, and the front end that asks it.

Words, files and exit codes are those of NVIDIA's MPS documentation and of the program's manual page.  How clients talk
is not public, and made up: a client (cuda.c) says in one line who it is and how it wants to be limited, and is one as
long as it keeps the connection.  What the daemon knows is in ``state.json`` beside its sockets, for tests.
"""

import contextlib
import json
import os
import pathlib
import selectors
import signal
import socket
import sys
import time

PIPE = pathlib.Path(os.environ.get('CUDA_MPS_PIPE_DIRECTORY', '/tmp/nvidia-mps'))
LOG = pathlib.Path(os.environ.get('CUDA_MPS_LOG_DIRECTORY', '/var/log/nvidia-mps'))
PID, STATE = PIPE / 'nvidia-cuda-mps-control.pid', PIPE / 'state.json'
#: Seconds between two looks whether anybody still needs a daemon whose directory may be gone.
LOOK = 1.0


def running() -> bool:
    try:
        return pathlib.Path(f'/proc/{PID.read_text().strip()}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def listen(name: str, mode: int) -> socket.socket:
    (PIPE / name).unlink(missing_ok=True)
    found = socket.socket(socket.AF_UNIX)
    found.bind(str(PIPE / name))
    (PIPE / name).chmod(mode)
    found.listen()
    return found


class Daemon:
    """Serves until it is told to quit, or its directory has gone."""

    def __init__(self, options: list[str]) -> None:
        self._options = options
        self._server: int | None = None
        self._clients: dict[socket.socket, dict[str, str]] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(listen('control', 0o666), selectors.EVENT_READ, self._connect)
        self._selector.register(listen('control_privileged', 0o700), selectors.EVENT_READ, self._answer)
        PID.write_text(f'{os.getpid()}\n')
        self._note('Starting control daemon')

    def run(self) -> None:
        while PID.exists():
            self._wait(LOOK)

    def _wait(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            key.data(key.fileobj)

    def _connect(self, listener: socket.socket) -> None:
        client, _ = listener.accept()
        pid, devices, percentage, limit = client.recv(4096).decode().split()
        if self._server is None:
            self._start_server()
        client.sendall(f'{self._server}\n'.encode())
        self._clients[client] = {'pid': pid, 'devices': devices, 'percentage': percentage, 'limit': limit}
        self._selector.register(client, selectors.EVENT_READ, self._leave)
        self._note(f'New client {pid}')

    def _leave(self, client: socket.socket) -> None:
        self._selector.unregister(client)
        client.close()
        self._note(f'Client {self._clients.pop(client)["pid"]} has gone')

    def _start_server(self) -> None:
        """The server does nothing here, and ends with its daemon."""
        reading, self._writing = os.pipe()
        self._server = os.fork()
        if self._server == 0:
            os.close(self._writing)
            os.read(reading, 1)
            os._exit(0)
        os.close(reading)

    def _answer(self, listener: socket.socket) -> None:
        front, _ = listener.accept()
        with front, front.makefile('r') as lines, contextlib.suppress(BrokenPipeError):
            for line in lines:
                front.sendall(self._command(*line.split()).encode())

    def _command(self, word: str, *arguments: str) -> str:
        match word:
            case 'get_server_list':
                return '' if self._server is None else f'{self._server}\n'
            case 'get_client_list':
                return ''.join(f'{one["pid"]}\n' for one in self._clients.values())
            case 'quit':
                self._quit(float(arguments[1]) if arguments[:1] == ('-t',) else None)
                return ''
        return f'Unrecognized command: {word}\n'

    def _quit(self, timeout: float | None) -> None:
        """Servers end when their clients have gone, or are made to when the time is over."""
        end = time.monotonic() + (float('inf') if timeout is None else timeout)
        while self._clients and time.monotonic() < end:
            self._wait(0.1)
        if self._server is not None:
            os.kill(self._server, signal.SIGKILL)
            os.waitpid(self._server, 0)
        self._note('Exit')
        PID.unlink()

    def _note(self, text: str) -> None:
        STATE.with_suffix('.new').write_text(json.dumps(
            {'options': self._options, 'devices': os.environ.get('CUDA_VISIBLE_DEVICES'), 'server': self._server,
             'clients': list(self._clients.values())}))
        STATE.with_suffix('.new').replace(STATE)
        with (LOG / 'control.log').open('a') as file:
            file.write(f'[{time.strftime("%F %T")}.000 Control {os.getpid()}] {text}\n')


def start(options: list[str]) -> int:
    """Start a daemon in the background; return when it serves."""
    for option in options:
        if option not in os.environ.get('FAKE_MPS_OPTIONS', '').split():
            print(f'Unknown option {option}')
            return 1
    if running():
        print('An instance of this daemon is already running')
        return 1
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        return 0 if os.read(reading, 1) else 1
    os.setsid()
    nothing = os.open('/dev/null', os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    daemon = Daemon(options)
    os.write(writing, b'1')
    os.close(writing)
    daemon.run()
    return 0


def ask() -> int:
    """Be the front end: commands come from standard input."""
    with socket.socket(socket.AF_UNIX) as daemon:
        try:
            daemon.connect(str(PIPE / 'control_privileged'))
        except OSError:
            print('Cannot find MPS control daemon process')
            return 1
        daemon.sendall(sys.stdin.read().encode())
        daemon.shutdown(socket.SHUT_WR)
        while piece := daemon.recv(4096):
            sys.stdout.write(piece.decode())
    return 0


if __name__ == '__main__':
    sys.exit(start(sys.argv[2:]) if sys.argv[1:2] == ['-d'] else ask())
