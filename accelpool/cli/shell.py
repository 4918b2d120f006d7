# SPDX-License-Identifier: Apache-2.0
"""The ``accelpool`` script: the same commands as ``openstack accelpool``, started several times faster.

Credentials come from clouds.yaml (``OS_CLOUD`` or ``--os-cloud``) or from the ``OS_*`` environment,
read by openstacksdk; authentication is keystoneauth's.
"""

import argparse
import functools
import importlib.metadata
import sys
from collections.abc import Sequence
from typing import Any

from cliff import app, commandmanager
from osc_lib import exceptions

from accelpool.cli import client

NAMESPACE = 'openstack.accelpool.v1'


class _Commands(commandmanager.CommandManager):
    """The plugin's commands without their leading ``accelpool``, which is this script's name."""

    def load_commands(self, namespace: str) -> None:
        # Not cliff's: that imports every command to run one.
        for entry_point in importlib.metadata.entry_points(group=namespace):
            name = entry_point.name.replace('_', ' ').removeprefix('accelpool ')
            self.commands[name] = entry_point


class _ClientManager:
    """Connects when a command first needs the service, not before."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options

    @functools.cached_property
    def accelpool(self) -> client.Client:
        # Slow to import, and `--help` does not need it.
        from keystoneauth1 import exceptions as ksa_exceptions
        from openstack import config
        from openstack import exceptions as openstack_exceptions

        try:
            region = config.OpenStackConfig().get_one(
                cloud=self._options.cloud, region_name=self._options.region_name)
        except (openstack_exceptions.ConfigException, ksa_exceptions.MissingRequiredOptions) as failure:
            raise exceptions.CommandError(
                f'{failure} Name a cloud of clouds.yaml: OS_CLOUD=accelpool or --os-cloud') from failure
        return client.Client(
            region.get_session(), region_name=region.get_region_name(client.SERVICE_TYPE),
            interface=region.get_interface(client.SERVICE_TYPE),
            endpoint_override=region.get_endpoint(client.SERVICE_TYPE))


class Shell(app.App):
    """cliff application with OpenStackClient's habits."""

    client_manager: _ClientManager

    def __init__(self) -> None:
        super().__init__(
            description='Pool, slice and use accelerators, local or across the network.',
            version="", command_manager=_Commands(NAMESPACE), deferred_help=True)
        self.client_manager = _ClientManager(argparse.Namespace(cloud=None, region_name=None))

    def build_option_parser(self, description: str | None, version: str | None,
                            argparse_kwargs: dict[str, Any] | None = None) -> argparse.ArgumentParser:
        parser = super().build_option_parser(description, version, argparse_kwargs)
        parser.add_argument('--os-cloud', dest='cloud', metavar='<name>',
                            help='cloud of clouds.yaml (default: OS_CLOUD)')
        parser.add_argument('--os-region-name', dest='region_name', metavar='<name>')
        return parser

    def initialize_app(self, argv: list[str]) -> None:
        self.client_manager = _ClientManager(self.options)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is the command's."""
    return int(Shell().run(list(sys.argv[1:] if argv is None else argv)))


if __name__ == '__main__':
    sys.exit(main())
