# SPDX-License-Identifier: Apache-2.0
"""What python-openstackclient loads for ``openstack accelpool ...`` (openstack.cli.extension)."""

import argparse
from typing import Any

from accelpool.cli import client

API_NAME = 'accelpool'
API_VERSION_OPTION = 'os_accelpool_api_version'
API_VERSIONS = {'1': 'accelpool.cli.client.Client'}
DEFAULT_API_VERSION = '1'


def make_client(instance: Any) -> client.Client:
    """Build the client from OpenStackClient's client manager."""
    return client.Client(
        instance.session,
        interface=instance.interface,
        region_name=instance.region_name,
        endpoint_override=instance.get_endpoint_for_service_type(
            client.SERVICE_TYPE, region_name=instance.region_name, interface=instance.interface),
    )


def build_option_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the option that selects the API version."""
    parser.add_argument(
        '--os-accelpool-api-version', metavar='<version>', default=DEFAULT_API_VERSION,
        help='accelpool API version (default: 1)')
    return parser
