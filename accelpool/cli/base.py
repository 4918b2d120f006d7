# SPDX-License-Identifier: Apache-2.0
"""What the commands share: lists with the service's own paging, single objects, multi-delete.

Columns carry the API's field names, so ``-f json`` and the API say the same.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from osc_lib import exceptions
from osc_lib.command import command

from accelpool.cli.client import Client

Row = tuple[Any, ...]
Parser = argparse.ArgumentParser


def progress(text: str) -> None:
    """Say on stderr what is going on; stdout belongs to the result."""
    print(text, file=sys.stderr, flush=True)


def cell(value: Any) -> Any:
    """Make a value fit a table cell: lists joined, mappings as ``key=value``, nothing as ``-``."""
    if value is None:
        return '-'
    if isinstance(value, list):
        return ', '.join(str(cell(item)) for item in value)
    if isinstance(value, dict):
        return ', '.join(f'{key}={cell(item)}' for key, item in value.items())
    return value


class _WithClient(command.Command):
    noun: ClassVar[str]        # path of the collection: 'devices'

    @property
    def client(self) -> Client:
        manager: Any = self.app.client_manager  # OpenStackClient's or our own
        client: Client = manager.accelpool
        return client

    @property
    def readable(self) -> bool:
        """Whether a person reads the output (a table), not a program."""
        return getattr(self, '_format', 'table') in {'table', 'value'}

    def run(self, parsed_args: argparse.Namespace) -> int:
        self._format = getattr(parsed_args, 'formatter', 'table')
        return int(super().run(parsed_args) or 0)

    def formatted(self, item: dict[str, Any], columns: Sequence[str]) -> Row:
        return tuple(cell(item.get(c)) if self.readable else item.get(c) for c in columns)


class List(_WithClient, command.Lister):
    """A collection.  Subclasses name the columns and the filters."""

    columns: ClassVar[Sequence[str]]
    long_columns: ClassVar[Sequence[str]] = ()
    filters: ClassVar[dict[str, str]] = {}   # option (API name) -> help

    def get_parser(self, prog_name: str) -> Parser:
        parser: Parser = super().get_parser(prog_name)
        if self.long_columns:
            parser.add_argument('--long', action='store_true', help='show all fields')
        parser.add_argument('--sort', metavar='<key>[:<direction>]', help='asc or desc, done by the service')
        parser.add_argument('--limit', type=int, metavar='<number>', help='how many to show at most')
        parser.add_argument('--marker', metavar='<id>', help='show what follows this id')
        for name, text in self.filters.items():
            parser.add_argument(f'--{name.replace("_", "-")}', metavar=f'<{name}>', help=text)
        return parser

    def query(self, parsed_args: argparse.Namespace) -> dict[str, Any]:
        """Return the filters that were given."""
        return {name: getattr(parsed_args, name) for name in self.filters}

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Iterable[Row]]:
        columns = list(self.columns)
        if getattr(parsed_args, 'long', False):
            columns += self.long_columns
        items = self.client.find(
            self.noun, limit=parsed_args.limit, marker=parsed_args.marker, sort=parsed_args.sort,
            **self.query(parsed_args))
        return columns, [self.formatted(item, columns) for item in items]


class One(_WithClient, command.ShowOne):
    """Base of the commands that print one object."""

    def shown(self, item: dict[str, Any]) -> tuple[Sequence[str], Row]:
        """Return the object as cliff wants it, without the API's links."""
        columns = [key for key in item if key != 'links']
        return columns, self.formatted(item, columns)


class Show(One):
    """One object by id or name."""

    what = 'id (or name, where the object has one)'

    def get_parser(self, prog_name: str) -> Parser:
        parser: Parser = super().get_parser(prog_name)
        parser.add_argument('id', metavar='<id>', help=self.what)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Row]:
        return self.shown(self.client.get(f'/{self.noun}/{parsed_args.id}'))


class Delete(_WithClient):
    """Several objects; each failure is reported, and any failure fails the command."""

    def get_parser(self, prog_name: str) -> Parser:
        parser: Parser = super().get_parser(prog_name)
        parser.add_argument('ids', metavar='<id>', nargs='+')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        failed = 0
        for identifier in parsed_args.ids:
            try:
                self.delete(identifier, parsed_args)
            except exceptions.CommandError as failure:
                failed += 1
                progress(f'{identifier}: {failure}')
        if failed:
            raise exceptions.CommandError(f'{failed} of {len(parsed_args.ids)} could not be deleted')

    def delete(self, identifier: str, parsed_args: argparse.Namespace) -> None:
        self.client.delete(f'/{self.noun}/{identifier}')


class Toggle(Show):
    """Base of ``set`` for what an operator enables and disables: hosts, devices, services."""

    effects = ('take new slices', 'take no new slices')

    def get_parser(self, prog_name: str) -> Parser:
        parser = super().get_parser(prog_name)
        state = parser.add_mutually_exclusive_group(required=True)
        state.add_argument('--enable', dest='enabled', action='store_true', help=self.effects[0])
        state.add_argument('--disable', dest='enabled', action='store_false', help=self.effects[1])
        parser.add_argument('--reason', metavar='<text>', help='why it is disabled')
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Sequence[str], Row]:
        body = self.switch(parsed_args.enabled)
        if parsed_args.reason is not None:
            body['disabled_reason'] = parsed_args.reason
        return self.shown(self.client.patch(f'/{self.noun}/{parsed_args.id}', body))

    def switch(self, enabled: bool) -> dict[str, Any]:
        return {'enabled': enabled}
