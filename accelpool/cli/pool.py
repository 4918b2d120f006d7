# SPDX-License-Identifier: Apache-2.0
"""``accelpool pool list|show|create|set|delete`` and ``pool add|remove device``"""

import argparse
from collections.abc import Sequence
from typing import Any

from accelpool.cli import base


class ListPool(base.List):
    """List the pools."""

    noun = 'pools'
    columns = ('id', 'name', 'description')
    filters = {'name': 'only this pool'}


class ShowPool(base.Show):
    """Show one pool with its devices."""

    noun = 'pools'


class CreatePool(base.One):
    """Create a pool."""

    noun = 'pools'

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument('name', metavar='<name>')
        parser.add_argument('--description', metavar='<text>')
        _add_isolations(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], base.Row]:
        return self.shown(self.client.post('/pools', _given(parsed_args)))


class SetPool(base.Show):
    """Rename or describe a pool."""

    noun = 'pools'

    def get_parser(self, prog_name: str) -> base.Parser:
        parser = super().get_parser(prog_name)
        parser.add_argument('--name', metavar='<name>', help='new name')
        parser.add_argument('--description', metavar='<text>')
        _add_isolations(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], base.Row]:
        return self.shown(self.client.patch(f'/pools/{parsed_args.id}', _given(parsed_args)))


def _add_isolations(parser: base.Parser) -> None:
    parser.add_argument('--isolation', metavar='<isolation>', action='append', dest='isolations',
                        help='how its devices may be shared: whole, partition, shared or mps (repeat for several); '
                             'all lifts the limit')


def _given(parsed_args: argparse.Namespace) -> dict[str, Any]:
    body: dict[str, Any] = {key: getattr(parsed_args, key) for key in ('name', 'description')
                            if getattr(parsed_args, key) is not None}
    if parsed_args.isolations is not None:
        body['isolations'] = None if parsed_args.isolations == ['all'] else parsed_args.isolations
    return body


class DeletePool(base.Delete):
    """Delete pools; their devices stay."""

    noun = 'pools'


class _Membership(base.Show):
    noun = 'pools'

    def get_parser(self, prog_name: str) -> base.Parser:
        parser = super().get_parser(prog_name)
        parser.add_argument('device', metavar='<device>')
        return parser


class AddDevice(_Membership):
    """Put a device into a pool."""

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], base.Row]:
        self.client.put(f'/pools/{parsed_args.id}/devices/{parsed_args.device}')
        return super().take_action(parsed_args)


class RemoveDevice(_Membership):
    """Take a device out of a pool."""

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], base.Row]:
        self.client.delete(f'/pools/{parsed_args.id}/devices/{parsed_args.device}')
        return super().take_action(parsed_args)
