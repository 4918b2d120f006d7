# SPDX-License-Identifier: Apache-2.0
"""Microversions of the ``/v1`` tree: ``OpenStack-API-Version: accelpool 1.N``.

Each minor version has a constant named by the feature that it brought; a controller compares the
request's version with that constant, never with a number.  What each version changed is told in
``rest_api_version_history.rst`` beside this file.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from accelpool import errors

HEADER = 'OpenStack-API-Version'
SERVICE_TYPE = 'accelpool'
#: Key of a request's version in the WSGI environment.
ENVIRON = 'accelpool.version'


class Version(NamedTuple):
    """A version of the API; versions compare as numbers do, so 1.10 is later than 1.9."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f'{self.major}.{self.minor}'


#: The first version.
INITIAL = Version(1, 0)
#: The header ``Prefer: wait=N`` of requests on an allocation.
PREFER_WAIT = Version(1, 1)
#: Partitions by name, any isolation, MPS, and what a pool allows.
PARTITIONS = Version(1, 2)
#: Named networks for sessions, and the way through the consumer's own agent.
NETWORKS = Version(1, 3)
#: Enrolment of guests.
ENROLMENT = Version(1, 4)
#: ``/v1/quotas``.
QUOTAS = Version(1, 5)
#: What a device is charged beside the memory of a shared slice, and what its driver says of it.
DETAILS = Version(1, 6)

MINIMUM = INITIAL
MAXIMUM = DETAILS

#: Fields that came later than the objects that they are in; older clients neither send nor see them.
FIELDS = {'template': PARTITIONS, 'isolations': PARTITIONS,
          'data_network': NETWORKS, 'via': NETWORKS, 'ticket': NETWORKS,
          'overhead': DETAILS, 'properties': DETAILS}
#: The same for values of a field.
VALUES = {('isolation', 'any'): PARTITIONS, ('isolation', 'mps'): PARTITIONS}


def check_body(version: Version, body: Any) -> None:
    """:raises InvalidRequest: the body has something that this version does not know"""
    for name, value in body.items() if isinstance(body, Mapping) else ():
        since = FIELDS.get(name) or (VALUES.get((name, value)) if isinstance(value, str) else None)
        if since is not None and version < since:
            raise errors.InvalidRequest(
                f'{name}: {value if name not in FIELDS else "it"} is known from version {since} of the API on',
                field=name)


def as_seen(version: Version, body: Any) -> Any:
    """Return a response without the fields that this version does not know."""
    if version >= MAXIMUM:
        return body
    if isinstance(body, dict):
        return {name: as_seen(version, value) for name, value in body.items()
                if name not in FIELDS or version >= FIELDS[name]}
    if isinstance(body, list):
        return [as_seen(version, item) for item in body]
    return body


def negotiate(header: str | None, wanted: str = SERVICE_TYPE,
              supported: tuple[Version, Version] | None = None) -> Version:
    """Return the version that a request asks for in its header.

    Without the header, or without an entry for this service, it is the oldest one, so that a
    client that does not know microversions never meets a change.

    :param wanted: the service type whose entry counts
    :param supported: the oldest and the newest version
    :raises InvalidRequest: the entry is not ``accelpool <major>.<minor>`` or ``accelpool latest``
    :raises NotAcceptable: the version is well-formed, but this service does not speak it
    """
    minimum, maximum = supported or (MINIMUM, MAXIMUM)
    for entry in (header or '').split(','):
        service, _, text = entry.strip().partition(' ')
        if service.lower() == wanted:
            return _supported(text.strip(), wanted, minimum, maximum)
    return minimum


def _supported(text: str, service: str, minimum: Version, maximum: Version) -> Version:
    if text == 'latest':
        return maximum
    major, _, minor = text.partition('.')
    if not (major.isascii() and major.isdigit() and minor.isascii() and minor.isdigit()
            and len(text) < 16):
        raise errors.InvalidRequest(
            f'{HEADER} must be "{service} <major>.<minor>" or "{service} latest"', field=HEADER)
    version = Version(int(major), int(minor))
    if not minimum <= version <= maximum:
        raise errors.NotAcceptable(
            f'Version {version} of the API is not supported; this service speaks {minimum} to {maximum}',
            field=HEADER)
    return version
