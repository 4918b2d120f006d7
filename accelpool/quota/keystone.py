# SPDX-License-Identifier: Apache-2.0
"""Unified limits: what Keystone says that projects may have.

Limits are read before a transaction begins and remembered for a while; whether a project is within them is for the
database alone, which knows what is used.  When Keystone is away the limits read last stay in force.
"""

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from keystoneauth1 import exceptions
from oslo_config import cfg

from accelpool import errors, ksa
from accelpool.conf import quota as options
from accelpool.quota.amounts import RESOURCES, UNSAID, Limits

cfg.CONF.register_opts(ksa.options(options.SERVICE), options.GROUP)
LOG = logging.getLogger(__name__)

#: Key of the registered limits among those of the projects.
_REGISTERED = None
Table = Mapping[str | None, Limits]


def asked() -> bool:
    """Say whether Keystone is asked at all (``[quota] auth_type``)."""
    return ksa.configured(options.GROUP)


def limits(project_id: str) -> Limits:
    """Return Keystone's limits of a project; all unsaid when it is not asked.

    :raises ServiceUnavailable: Keystone does not answer and has never answered
    """
    if not asked():
        return UNSAID
    return _of_project(_reader().table(), project_id)


def table(registered: Iterable[Mapping[str, Any]], overrides: Iterable[Mapping[str, Any]], region: str | None) -> Table:
    """Make one table of Keystone's answers; limits of another region do not count, the region's own count first."""
    found: dict[str | None, dict[str, int]] = {}
    for one in sorted([*registered, *overrides], key=lambda one: one.get('region_id') is not None):
        if one['resource_name'] in RESOURCES and one.get('region_id') in {None, region}:
            value = one['default_limit'] if 'default_limit' in one else one['resource_limit']
            found.setdefault(one.get('project_id', _REGISTERED), {})[one['resource_name']] = value
    return {project: Limits(**values) for project, values in found.items()}


def _of_project(known: Table, project_id: str) -> Limits:
    """A project's own limits only count for resources that are registered, as everywhere in OpenStack."""
    registered = known.get(_REGISTERED, UNSAID)
    own = known.get(project_id, UNSAID).over(registered)
    return Limits(*(getattr(own, name) if getattr(registered, name) is not None else None for name in RESOURCES))


class Reader:
    """Reads all limits of this service at once, at most every ``lifetime`` seconds."""

    def __init__(self, read: Callable[[], Table], lifetime: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._read, self._lifetime, self._clock = read, lifetime, clock
        self._lock = threading.Lock()
        self._table: Table | None = None
        self._read_at = 0.0

    def table(self) -> Table:
        """:raises ServiceUnavailable: nothing was ever read"""
        with self._lock:
            if self._table is None or self._clock() - self._read_at >= self._lifetime:
                try:
                    self._table = self._read()
                except exceptions.ClientException as failure:
                    if self._table is None:
                        raise errors.ServiceUnavailable(f'Keystone does not tell the limits: {failure}') from failure
                    LOG.warning('Keystone does not tell the limits, those of before stay in force: %s', failure)
                self._read_at = self._clock()
            return self._table


@functools.cache
def _reader() -> Reader:
    identity = ksa.adapter(options.GROUP)
    conf = cfg.CONF.quota

    @functools.cache
    def service() -> str:
        found = identity.get(f'/v3/services?type={conf.limited_service_type}').json()['services']
        if not found:
            raise errors.ServiceUnavailable(
                f"Keystone's catalogue has no service of type {conf.limited_service_type}, whose limits are asked for")
        return str(found[0]['id'])

    def read() -> Table:
        of_service = f'?service_id={service()}'
        return table(identity.get(f'/v3/registered_limits{of_service}').json()['registered_limits'],
                     identity.get(f'/v3/limits{of_service}').json()['limits'], conf.limited_region)

    return Reader(read, conf.cache_time)
