# SPDX-License-Identifier: Apache-2.0
"""``accelpool profile list|show|create|set|delete``"""

import argparse
from collections.abc import Sequence

from accelpool.cli import base, request


class ListProfile(base.List):
    """List the profiles that can be asked for by name."""

    noun = 'profiles'
    columns = ('id', 'name', 'count', 'compute', 'memory', 'isolation', 'locality')
    long_columns = ('technique', 'vendor', 'model', 'traits', 'any_traits', 'pool', 'strict', 'data_network',
                    'description')
    filters = {'name': 'only this profile'}


class ShowProfile(base.Show):
    """Show one profile."""

    noun = 'profiles'


class CreateProfile(base.One):
    """Create a profile."""

    noun = 'profiles'

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument('name', metavar='<name>')
        parser.add_argument('--description', metavar='<text>')
        request.add_shape(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], base.Row]:
        body = request.given(parsed_args, 'name', 'description')
        return self.shown(self.client.post('/profiles', body))


class SetProfile(base.Show):
    """Change a profile; allocations made from it keep what they have."""

    noun = 'profiles'

    def get_parser(self, prog_name: str) -> base.Parser:
        parser = super().get_parser(prog_name)
        parser.add_argument('--name', metavar='<name>', help='new name')
        parser.add_argument('--description', metavar='<text>')
        request.add_shape(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], base.Row]:
        body = request.given(parsed_args, 'name', 'description')
        return self.shown(self.client.patch(f'/profiles/{parsed_args.id}', body))


class DeleteProfile(base.Delete):
    """Delete profiles; allocations made from them stay."""

    noun = 'profiles'
