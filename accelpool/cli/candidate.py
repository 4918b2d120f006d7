# SPDX-License-Identifier: Apache-2.0
"""``accelpool candidate list``: a dry run of the scheduler."""

import argparse
from collections.abc import Iterable, Sequence

from osc_lib.command import command

from accelpool.cli import base, request


class ListCandidate(base._WithClient, command.Lister):
    """Say for every device whether it could serve a request, and if not, why."""

    noun = 'candidates'
    columns = ('device_id', 'host', 'model', 'free_compute', 'free_memory', 'fits', 'reason')

    def get_parser(self, prog_name: str) -> base.Parser:
        parser: base.Parser = super().get_parser(prog_name)
        request.add_consumer(parser)
        request.add_shape(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[base.Row]]:
        found = self.client.post('/candidates', request.given(parsed_args, 'profile', 'consumer_host'))
        rows = [{**candidate, 'fits': True} for candidate in found['candidates']]
        rows += [{**rejection, 'fits': False} for rejection in found['rejections']]
        return self.columns, [self.formatted(row, self.columns) for row in rows]
