# SPDX-License-Identifier: Apache-2.0
"""The agent of one host: wires listeners, sessions and the control socket together and runs until it is told to end."""

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import pathlib
import resource
import signal
from collections.abc import Sequence
from typing import Any

from accelpool.remoting.agent import credential, secure
from accelpool.remoting.agent.admission import Admission, listener
from accelpool.remoting.agent.control import Control
from accelpool.remoting.agent.frontdoor import FrontDoor
from accelpool.remoting.agent.sessions import Sessions
from accelpool.remoting.agent.touch import TouchAccount
from accelpool.remoting.agent.translator import Translator
from accelpool.remoting.agent.uids import Uids

LOG = logging.getLogger(__name__)

MIB = 1 << 20
#: The network's name of a URL without a label of its own.
DEFAULT_NETWORK = 'default'


async def run(host: str, state_dir: pathlib.Path, listen: Sequence[str], advertise: Sequence[str],
              door: str | None, policy: secure.Policy, touched_limit_mib: int, start_timeout: float,
              renewable: int) -> None:
    """Serve until SIGTERM or SIGINT.

    :param listen: ``url`` or ``url,network``
    :param advertise: the same, for what clients are told; empty: where it listens
    :param door: URL on loopback for consumers that do not see the unix socket
    :param policy: where TLS is needed, and which
    :param touched_limit_mib: how much host memory the emulated devices may really touch, MiB
    :param start_timeout: seconds from a worker's start to its READY
    :param renewable: seconds from an attachment request on in which its credentials are renewed here
    :raises ValueError: a URL that an agent cannot listen on, or a key that others can read
    """
    root = os.geteuid() == 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:  # a session costs a descriptor, and so does a holder
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uids = Uids()
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _lock(state_dir / 'agent.lock')
    key = credential.load_host_key(state_dir / 'host.key')
    opened = [listener(text.partition(',')[0]) for text in listen]
    places = [_place(text, 'tcp://{}:{}'.format(*one.getsockname())) for text, one in zip(listen, opened, strict=True)]
    if advertise:
        places = [_place(text, text.partition(',')[0]) for text in advertise]
    data_socket = f'unix://{state_dir.absolute()}/data.sock'
    opened.append(listener(data_socket))
    doors = [data_socket]
    if door is not None:
        opened.append(listener(door))
        doors.append('tcp://{}:{}'.format(*opened[-1].getsockname()))

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    about: dict[str, Any] = {
        'version': 1, 'host': host, 'pid': os.getpid(), 'data_socket': data_socket,
        'advertise': places or [{'url': data_socket, 'network': DEFAULT_NETWORK}],
        # no_new_privs, non_dumpable and seccomp hold for every session, or it does not start.
        'capabilities': {'root': root, 'uid_per_session': uids.available, 'no_new_privs': True, 'non_dumpable': True,
                         'seccomp': True, 'tls': policy.transport.name},
    }
    control = Control(key, about, renewable)
    translator = Translator(state_dir / 'translator', uids)
    sessions = control.sessions = Sessions(
        translator, TouchAccount(touched_limit_mib * MIB), uids, control.event, stop.set, start_timeout)
    front_door = control.door = FrontDoor(key, places, doors, sessions.pass_on, renewable)
    admission = control.admission = Admission(key, sessions, policy, front_door, control.event)
    server = await control.listen(state_dir / 'agent.sock')
    tasks = [asyncio.ensure_future(admission.listen(one)) for one in opened]
    _say(state_dir / 'agent.json', about)
    LOG.info('The agent of %s serves %s%s', host, ', '.join(one['url'] for one in places),
             '' if uids.available else '; sessions share its uid')
    await stop.wait()
    for task in tasks:
        task.cancel()
    server.close()
    await sessions.close()
    translator.close()
    (state_dir / 'agent.json').unlink(missing_ok=True)
    os.close(lock)


def _place(text: str, url: str) -> dict[str, str]:
    return {'url': url, 'network': text.partition(',')[2] or DEFAULT_NETWORK}


def _lock(path: pathlib.Path) -> int:
    """Return a descriptor that keeps a second agent out of the directory.  :raises ValueError: there is one"""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ValueError(f'another agent uses {path.parent}') from None
    return descriptor


def _say(path: pathlib.Path, about: dict[str, Any]) -> None:
    fresh = path.with_suffix('.new')
    fresh.write_text(json.dumps(about))
    with contextlib.suppress(OSError):
        fresh.replace(path)
