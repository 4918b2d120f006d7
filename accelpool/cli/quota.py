# SPDX-License-Identifier: Apache-2.0
"""``accelpool quota list|show|set``"""

import argparse
from collections.abc import Sequence
from typing import Any

from accelpool.cli import base
from accelpool.quota.amounts import RESOURCES, UNLIMITED

#: Words for limits that are no numbers.
WORDS: dict[str, int | None] = {'unlimited': UNLIMITED, 'default': None}


class ListQuota(base.List):
    """List what projects use and may use."""

    noun = 'quotas'
    columns = ('project_id', *RESOURCES)


class ShowQuota(base.Show):
    """Show what a project uses and may use."""

    noun = 'quotas'
    what = 'id of the project'


class SetQuota(ShowQuota):
    """Set limits of a project.

    A limit below what is used takes nothing away; it lets the project have nothing more.
    """

    def get_parser(self, prog_name: str) -> base.Parser:
        parser = super().get_parser(prog_name)
        for name, unit in zip(RESOURCES, ('slices', 'percent points of devices', 'MiB'), strict=True):
            parser.add_argument(f'--{name}', type=limit, default=argparse.SUPPRESS, metavar='<number>',
                                help=f'{unit}; "unlimited", or "default" for what the configuration says')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], base.Row]:
        body: dict[str, Any] = {name: getattr(parsed_args, name) for name in RESOURCES if name in parsed_args}
        return self.shown(self.client.patch(f'/{self.noun}/{parsed_args.id}', body))


def limit(text: str) -> int | None:
    """Read a limit from the command line."""
    return WORDS[text] if text in WORDS else int(text)
