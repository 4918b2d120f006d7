# SPDX-License-Identifier: Apache-2.0
"""``accelpool run``: a command with a slice, from allocation to release."""

import argparse
import os
import signal
import socket
import sys
import time
import uuid
from typing import Any

from osc_lib import exceptions

from accelpool.cli import allocation as allocation_command
from accelpool.cli import base, request
from accelpool.cli.client import Client, Unavailable
from accelpool.runtime import environment, greeting, holder, launcher

#: Seconds that the allocation lives without news from us; renewed three times as often.
TTL = 60
RENEW = TTL / 3
#: Seconds in which a service that is being started again is there again.
PATIENCE = 15


class Run(base._WithClient):
    """Run a command with a slice of an accelerator; release the slice when the command ends.

    The exit status is the command's.
    """

    noun = 'allocations'

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        request.add_consumer(parser)
        request.add_shape(parser)
        parser.add_argument('--allocation', metavar='<id>',
                            help='use this allocation, and keep it, instead of making one')
        parser.add_argument('--wait', type=float, default=allocation_command.WAIT, metavar='<seconds>',
                            help='how long to wait for a slice (default: %(default)g s)')
        parser.add_argument('command', nargs=argparse.REMAINDER, metavar='-- <command>')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        words = parsed_args.command
        if words[:1] == ['--']:
            words = words[1:]
        if not words:
            raise exceptions.CommandError('no command: accelpool run --profile P -- COMMAND [ARG ...]')
        if parsed_args.allocation:
            return _Consumer(self.client, parsed_args.allocation, owned=False).run(words)
        # A signal while we wait for the slice must not leave it behind.
        signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
        identifier = str(uuid.uuid4())
        started = time.monotonic()
        body = request.given(parsed_args, 'profile', 'consumer_host')
        body.setdefault('consumer_host', socket.gethostname())
        body |= {'id': identifier, 'ttl': TTL, 'consumer_type': 'process',
                 'consumer_id': f'{socket.gethostname()}:{os.getpid()}'}
        try:
            found = self.client.post('/allocations', body, settled=True)
            if found['state'] not in {'active', 'error'}:
                found = self.client.wait(
                    identifier, {'active'}, parsed_args.wait,
                    lambda state: base.progress(f'accelpool: {state} ...')
                    if time.monotonic() - started > 1 else None)
            if found['state'] == 'error':
                raise exceptions.CommandError(f'no slice: {found["reason"]}')
            allocation_command.say_surplus(found)
            return _Consumer(self.client, identifier, owned=True).run(words)
        finally:
            self._release(identifier)

    def _release(self, identifier: str) -> None:
        try:
            self._delete(f'/allocations/{identifier}')
        except exceptions.CommandError as failure:
            if 'HTTP 404' not in str(failure):  # 404: it was never made
                base.progress(f'accelpool: could not release {identifier}: {failure}; '
                              f'its time to live ends in {TTL} s')

    def _delete(self, path: str) -> None:
        """Delete, also while the service is being started again."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.client.delete(path)
                return
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)


class _Consumer:
    """One attachment in use: its file, its holder connection, its renewal."""

    def __init__(self, client: Client, identifier: str, *, owned: bool) -> None:
        self._client = client
        self._path = f'/allocations/{identifier}'
        self._owned = owned
        self._file = environment.AttachmentFile()
        self._attachment: dict[str, Any] = {}

    def run(self, words: list[str]) -> int:
        """Run the command with the attachment in its environment; return its exit status."""
        held = None
        try:
            self._attach()
            if self._owned:
                held = self._hold()
            variables = environment.variables(self._attachment, self._file.path, os.environ)
            sys.stdout.flush()
            return launcher.run(words, variables, RENEW, self._renew)
        finally:
            if held:
                held.close()
            self._file.remove()

    def _attach(self) -> None:
        self._attachment = self._client.get(f'{self._path}/attachment')
        self._file.write(self._attachment)

    def _hold(self) -> socket.socket | None:
        where = self._attachment.get('holder')
        if not where:
            return None
        try:
            return holder.connect(where['url'], where['credential'])
        except (OSError, greeting.Refused) as failure:
            base.progress(f'accelpool: the local agent does not watch over this run ({failure}); '
                          f'if it is killed, the slice comes back after {TTL} s')
            return None

    def _renew(self) -> None:
        """Extend the allocation and replace credentials that are about to expire."""
        try:
            if self._owned:
                self._client.patch(self._path, {'ttl': TTL})
            if environment.earliest_expiry(self._attachment) - time.time() < 3 * RENEW:
                self._attach()
        except exceptions.CommandError as failure:  # the control plane may be down: sessions go on
            base.progress(f'accelpool: {failure}')
