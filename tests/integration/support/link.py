# SPDX-License-Identifier: Apache-2.0
"""A service in a network namespace of its own, behind a link that can be cut.  Needs root."""

import contextlib
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Iterator

from tools.integration import bus, layout, process
from tools.integration.process import Service

#: Addresses of both ends, of the network for tests of devices (RFC 2544).
NEAR, FAR = '198.18.77.1', '198.18.77.2'
_NAMESPACE = f'accelpool-{layout.BASE}'
_NEAR, _FAR = f'ap{layout.BASE}n', f'ap{layout.BASE}f'


def _ip(*arguments: str, check: bool = True) -> None:
    subprocess.run(['ip', *arguments], check=check, capture_output=True)


class Link:
    """The way from the namespace to the bus and the database."""

    def cut(self) -> None:
        """Everything under way is lost without a word, as when a cable is pulled."""
        _ip('link', 'set', _NEAR, 'down')

    def mend(self) -> None:
        _ip('link', 'set', _NEAR, 'up')


@contextlib.contextmanager
def apart(service: Service) -> Iterator[Link]:
    """Run a service of accelpool in the namespace instead of here; it runs here again afterwards."""
    service.stop()
    remove()
    _ip('netns', 'add', _NAMESPACE)
    relay: subprocess.Popen[bytes] | None = None
    there = dataclasses.replace(service, command=[*service.command, '--config-file', _config()])
    try:
        _ip('link', 'add', _NEAR, 'type', 'veth', 'peer', 'name', _FAR)
        _ip('link', 'set', _FAR, 'netns', _NAMESPACE)
        _ip('addr', 'add', f'{NEAR}/30', 'dev', _NEAR)
        _ip('link', 'set', _NEAR, 'up')
        for words in (('addr', 'add', f'{FAR}/30', 'dev', _FAR), ('link', 'set', _FAR, 'up'), ('link', 'set', 'lo', 'up')):
            _ip('-n', _NAMESPACE, *words)
        ports = [layout.port('amqp'), layout.port(layout.SERVER)]
        relay = subprocess.Popen(
            [sys.executable, '-m', 'tests.integration.support.relay', NEAR, *map(str, ports)], cwd=layout.ROOT,
            env=os.environ | {'PYTHONPATH': str(layout.ROOT)})
        process.wait_for(lambda: all(process.listens(port, NEAR) for port in ports), 'the relay')
        there.start(prefix=('ip', 'netns', 'exec', _NAMESPACE))
        yield Link()
    finally:
        there.kill()
        if relay is not None:
            relay.kill()
            relay.wait()
        remove()
        service.start()


def remove() -> None:
    """Take the namespace and the link away."""
    _ip('link', 'del', _NEAR, check=False)
    _ip('netns', 'del', _NAMESPACE, check=False)
    time.sleep(0.2)


def _config() -> str:
    """Write what differs there: the addresses."""
    def near(url: str) -> str:
        return url.replace(layout.HOST, NEAR)
    path = layout.write(layout.ETC / 'accelpool' / 'apart.conf', (
        f'[DEFAULT]\ntransport_url = {near(layout.bus(bus.VHOST))}\n'
        f'[database]\nconnection = {near(layout.database("accelpool", layout.SERVER))}\n'))
    return str(path)
