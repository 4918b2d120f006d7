# SPDX-License-Identifier: Apache-2.0
"""Every service by name, and the order in which all are brought up."""

import concurrent.futures
from collections.abc import Iterable

from tools.integration import bus, compute, cyborg, databases, identity, layout, pool, prometheus, tasks
from tools.integration.process import Service

#: Infrastructure goes last when everything is stopped.
_BASE = (databases.MARIADB, databases.POSTGRESQL, bus.RABBITMQ, bus.EPMD)

_ACCELPOOL: tasks.Steps = {
    'mariadb': (databases.mariadb, ()),
    'postgresql': (databases.postgresql, ()),
    'rabbitmq': (bus.rabbitmq, ()),
    'keystone': (identity.keystone, ('mariadb',)),
    'accelpool-schema': (pool.accelpool_schema, ('mariadb', 'postgresql')),
    'accelpool': (pool.accelpool, ('accelpool-schema', 'rabbitmq', 'keystone')),
}
_PLACEMENT: tasks.Steps = {'placement': (compute.placement, ('mariadb',))}
_COMPUTE: tasks.Steps = {
    **_PLACEMENT,
    'glance': (compute.glance, ('mariadb',)),
    'neutron': (compute.neutron, ()),
    'vendordata': (pool.vendordata, ('accelpool-schema', 'keystone')),
    'nova-schema': (compute.nova_schema, ('mariadb', 'rabbitmq')),
    'nova': (compute.nova, ('nova-schema', 'keystone', 'placement', 'neutron')),
}
_CYBORG: tasks.Steps = {
    **_PLACEMENT,
    'cyborg': (cyborg.cyborg, ('mariadb', 'rabbitmq', 'keystone', 'placement')),
}
_PROMETHEUS: tasks.Steps = {'prometheus': (prometheus.prometheus, ('accelpool',))}
GROUPS = {'accelpool': _ACCELPOOL, 'placement': {**_ACCELPOOL, **_PLACEMENT}, 'compute': {**_ACCELPOOL, **_COMPUTE},
          'cyborg': {**_ACCELPOOL, **_CYBORG}, 'prometheus': {**_ACCELPOOL, **_PROMETHEUS}}


def steps(groups: Iterable[str]) -> tasks.Steps:
    """Return the steps of some groups.  :raises SystemExit: there is no such group"""
    found = dict(_ACCELPOOL)
    for group in groups:
        if group not in GROUPS:
            raise SystemExit(f'{group}: no such group; there are {", ".join(GROUPS)}')
        found |= GROUPS[group]
    return {**found, 'openrc': (openrc, ())}


def all_services() -> dict[str, Service]:
    """Return every service that can run, by name."""
    return {service.name: service for service in (
        *_BASE, identity.KEYSTONE, *pool.SERVICES, pool.GUNICORN, compute.PLACEMENT, compute.GLANCE, compute.NEUTRON,
        pool.VENDORDATA, *cyborg.SERVICES, compute.CONDUCTOR, compute.SCHEDULER, compute.NOVA, compute.METADATA,
        *compute.HYPERVISORS.values(), prometheus.PROMETHEUS)}


def down() -> None:
    """Stop everything; state stays."""
    others = [service for service in all_services().values() if service not in _BASE]
    # A RabbitMQ whose epmd goes before it starts another one, which would stay.
    for some in (others, [service for service in _BASE if service is not bus.EPMD], [bus.EPMD]):
        with concurrent.futures.ThreadPoolExecutor(len(some)) as workers:
            list(workers.map(Service.stop, some))


def openrc() -> None:
    """Write the administrator's environment."""
    lines = [f'export {name}={value}' for name, value in identity.openrc().items()]
    lines.append(f'export PATH={layout.VENV}/bin:{layout.OURS}/bin:$PATH\n')
    layout.write(layout.STATE / 'openrc', '\n'.join(lines))
