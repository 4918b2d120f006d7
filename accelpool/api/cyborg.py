# SPDX-License-Identifier: Apache-2.0
"""How ``/v2`` speaks: the microversions, headers and error form of Cyborg (service type ``accelerator``).

An unmodified Nova, openstacksdk and ``openstack accelerator`` talk to this tree.
"""

import datetime
import json
from typing import Any

from accelpool import errors
from accelpool.api import microversions

SERVICE_TYPE = 'accelerator'

MINIMUM = microversions.Version(2, 0)
#: An administrator may name the project that a binding is for.
PROJECT_ID = microversions.Version(2, 1)
#: A device profile may be shown by its name.
PROFILE_BY_NAME = microversions.Version(2, 2)
#: Devices have a ``status``.
DEVICE_STATUS = microversions.Version(2, 3)
MAXIMUM = DEVICE_STATUS


def speaks(environ: dict[str, Any]) -> bool:
    """Whether a request is for this tree."""
    path = environ.get('PATH_INFO', '')
    return bool(path == '/v2' or path.startswith('/v2/'))


def negotiate(header: str | None) -> microversions.Version:
    """Return the version that a request asks for; Nova asks for none and gets the oldest.

    :raises NotAcceptable: this service does not speak it
    """
    try:
        return microversions.negotiate(header, SERVICE_TYPE, (MINIMUM, MAXIMUM))
    except errors.InvalidRequest as failure:
        raise errors.NotAcceptable(f'Invalid value for {microversions.HEADER} header') from failure


def need(version: microversions.Version, since: microversions.Version) -> None:
    """:raises NotAcceptable: the request's version is too old for what it asks"""
    if version < since:
        raise errors.NotAcceptable(f'Request not acceptable. The minimal required API version should be {since}')


def headers(version: microversions.Version | None) -> dict[str, str]:
    """Return the headers of every answer; without a version when none could be agreed on."""
    found = {'OpenStack-API-Minimum-Version': str(MINIMUM), 'OpenStack-API-Maximum-Version': str(MAXIMUM)}
    if version is not None:
        found[microversions.HEADER] = f'{SERVICE_TYPE} {version}'
    return found


def error(status: int, detail: str) -> dict[str, Any]:
    """Return the body of an error: JSON inside of JSON, as Cyborg has it."""
    fault = {'faultcode': 'Client' if status < 500 else 'Server', 'faultstring': detail, 'debuginfo': None}
    return {'error_message': json.dumps(fault)}


def time(value: datetime.datetime | None) -> str | None:
    """Show a time (UTC without a zone, as the database keeps it)."""
    return None if value is None else f'{value.isoformat(timespec="seconds")}+00:00'


def links(url: str, noun: str, identifier: str) -> list[dict[str, str]]:
    """Return the link of an object to itself.

    :param url: the application's own
    """
    return [{'href': f'{url}/v2/{noun}/{identifier}', 'rel': 'self'}]
