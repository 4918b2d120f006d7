# SPDX-License-Identifier: Apache-2.0
"""Hosts with their own addresses on this machine: network namespaces joined by veth pairs.  Needs root."""

import ctypes
import json
import os
import socket
import subprocess
import threading
import unittest
from collections.abc import Callable
from typing import Any

_CLONE_NEWNET = 0x40000000


def _ip(*arguments: str) -> str:
    return subprocess.run(['ip', *arguments], check=True, capture_output=True, text=True).stdout


class Host:
    """One namespace; it has a loopback interface and nothing else at first."""

    def __init__(self, case: unittest.TestCase, name: str) -> None:
        self.name = f'accelpool-{os.getpid()}-{name}'
        _ip('netns', 'add', self.name)
        case.addCleanup(_ip, 'netns', 'del', self.name)
        _ip('-n', self.name, 'link', 'set', 'lo', 'up')
        #: Put before a command, it runs there.
        self.command = ('ip', 'netns', 'exec', self.name)

    def received(self, network: str) -> int:
        """Return how many bytes have come in from a network."""
        [link] = json.loads(_ip('-n', self.name, '-s', '-j', 'link', 'show', 'dev', network))
        return int(link['stats64']['rx']['bytes'])

    def listener(self, address: str) -> socket.socket:
        """Return a socket that listens there."""
        opened: list[socket.socket] = []

        def enter() -> None:  # a thread of its own: it cannot come back
            with open(f'/run/netns/{self.name}') as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), 'setns')
            opened.append(socket.create_server((address, 0)))

        _in_thread(enter)
        return opened[0]


def _in_thread(act: Callable[[], Any]) -> None:
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()


def connect(network: str, **ends: Host) -> None:
    """Join two hosts: ``connect('data', **{'10.77.1.1': one, '10.77.1.2': other})`` gives both an interface ``data``."""
    (ours, one), (theirs, other) = ends.items()
    _ip('link', 'add', network, 'netns', one.name, 'type', 'veth', 'peer', 'name', network, 'netns', other.name)
    for address, host in ((ours, one), (theirs, other)):
        _ip('-n', host.name, 'address', 'add', f'{address}/24', 'dev', network)
        _ip('-n', host.name, 'link', 'set', network, 'up')
