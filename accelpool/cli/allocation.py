# SPDX-License-Identifier: Apache-2.0
"""``accelpool allocation list|show|create|set|delete`` and ``allocation event|usage``"""

import argparse
from collections.abc import Sequence
from typing import Any

from osc_lib import exceptions

from accelpool.cli import base, request

#: Seconds that ``--wait`` waits when no number is given.
WAIT = 60.0


def add_wait(parser: base.Parser) -> None:
    parser.add_argument(
        '--wait', nargs='?', type=float, const=WAIT, metavar='<seconds>',
        help=f'wait until it is done (default: {WAIT:g} s); progress goes to stderr')


def say_surplus(allocation: dict[str, Any]) -> None:
    """Say on stderr how much more partitions have than was asked for: requests are rounded up to what there is."""
    asked = allocation['request']
    for piece in allocation['slices']:
        template, compute = piece.get('template'), piece['compute'] - asked['compute']
        memory = piece['memory'] - asked['memory'] if asked['memory'] is not None else 0
        if template and not asked.get('template') and (compute > 0 or memory > 0):
            base.progress(f'accelpool: {template}: {compute} percent points and {memory} MiB more than was asked for')


class ListAllocation(base.List):
    """List the project's allocations."""

    noun = 'allocations'
    columns = ('id', 'name', 'profile', 'state', 'consumer_type', 'consumer_host', 'expires_at')
    long_columns = ('project_id', 'consumer_id', 'reason', 'slices', 'created_at')
    filters = {
        'state': 'only this state', 'consumer_id': 'only this consumer', 'profile': 'only from this profile',
        'host': 'only with a slice on this host',
    }

    def get_parser(self, prog_name: str) -> base.Parser:
        parser = super().get_parser(prog_name)
        parser.add_argument('--all-projects', action='store_true', default=None,
                            help='of every project (administrators)')
        return parser

    def query(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        return {**super().query(parsed_args), 'all_projects': parsed_args.all_projects}


class ShowAllocation(base.Show):
    """Show one allocation."""

    noun = 'allocations'


class CreateAllocation(base.One):
    """Allocate slices: from a profile, or by saying what is wanted."""

    noun = 'allocations'

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument('--id', metavar='<uuid>', help='own id: asking twice gives one allocation')
        parser.add_argument('--name', metavar='<name>')
        parser.add_argument('--ttl', type=int, metavar='<seconds>',
                            help='released after this time unless in use')
        parser.add_argument('--consumer-type', metavar='<type>',
                            choices=('instance', 'node', 'pod', 'process'))
        parser.add_argument('--consumer-id', metavar='<id>')
        request.add_consumer(parser)
        request.add_shape(parser)
        add_wait(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], base.Row]:
        allocation = self.client.post('/allocations', request.given(
            parsed_args, 'id', 'name', 'ttl', 'profile', 'consumer_type', 'consumer_id', 'consumer_host'),
            settled=parsed_args.wait is not None)
        if parsed_args.wait is not None:
            allocation = self.client.wait(allocation['id'], {'active'}, parsed_args.wait, base.progress)
            if allocation['state'] == 'error':
                raise exceptions.CommandError(f'allocation {allocation["id"]}: {allocation["reason"]}')
        say_surplus(allocation)
        return self.shown(allocation)


class SetAllocation(base.Show):
    """Extend an allocation: its time to live starts again."""

    noun = 'allocations'

    def get_parser(self, prog_name: str) -> base.Parser:
        parser = super().get_parser(prog_name)
        parser.add_argument('--ttl', type=int, required=True, metavar='<seconds>')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], base.Row]:
        return self.shown(self.client.patch(f'/allocations/{parsed_args.id}', {'ttl': parsed_args.ttl}))


class DeleteAllocation(base.Delete):
    """Release allocations: their sessions end, their slices go back to the pool."""

    noun = 'allocations'

    def get_parser(self, prog_name: str) -> base.Parser:
        parser = super().get_parser(prog_name)
        add_wait(parser)
        return parser

    def delete(self, identifier: str, parsed_args: argparse.Namespace) -> None:
        super().delete(identifier, parsed_args)
        if parsed_args.wait is not None:
            self.client.wait(identifier, {'released'}, parsed_args.wait, base.progress)


class _OfAllocation(base.List):
    """A list below one allocation."""

    def get_parser(self, prog_name: str) -> base.Parser:
        parser = super().get_parser(prog_name)
        parser.add_argument('allocation', metavar='<allocation>')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        self.noun = f'allocations/{parsed_args.allocation}/{self.part}'  # type: ignore[misc]
        return super().take_action(parsed_args)

    part: str


class ListEvent(_OfAllocation):
    """List what happened to an allocation."""

    part = 'events'
    columns = ('time', 'event', 'from_state', 'to_state', 'detail')


class ListUsage(base.List):
    """List what an allocation's slices use now."""

    columns = ('slice_id', 'host', 'sessions', 'charged_bytes', 'peak_bytes', 'limit_bytes', 'device_ns', 'launches')

    def get_parser(self, prog_name: str) -> base.Parser:
        parser = super().get_parser(prog_name)
        parser.add_argument('allocation', metavar='<allocation>')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Any:
        found = self.client.get(f'/allocations/{parsed_args.allocation}/usage')
        rows = [{**(one['usage'] or {}), 'slice_id': one['id'], 'host': one['host']} for one in found['slices']]
        return self.columns, [self.formatted(row, self.columns) for row in rows]
