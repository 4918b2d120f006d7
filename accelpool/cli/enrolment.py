# SPDX-License-Identifier: Apache-2.0
"""``accelpool allocation enrol``"""

import argparse
from collections.abc import Sequence

from accelpool.cli import base


class EnrolAllocation(base.One):
    """Get a single-use token with which an allocation's consumer (an instance, a node) enrols itself.

    It is shown once.  In the guest: ``accelpool-guest enrol --url <url> --consumer <consumer_id>``, and the token on
    standard input.
    """

    noun = 'allocations'

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        parser.add_argument('id', metavar='<id>')
        parser.add_argument('--lifetime', type=int, metavar='<seconds>',
                            help='in which it must be used (default: the service says, usually 600)')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], base.Row]:
        body = {} if parsed_args.lifetime is None else {'lifetime': parsed_args.lifetime}
        return self.shown(self.client.post(f'/allocations/{parsed_args.id}/enrolments', body))
