# SPDX-License-Identifier: Apache-2.0
"""What a request asks of Placement: the keys of a device profile's groups.  Pure."""

from accelpool.placement import names
from accelpool.types import ANY_ISOLATION, Isolation, Locality, Request


def groups(request: Request) -> list[dict[str, str]]:
    """Return one group for each slice: ``resources:<class>`` and ``trait:<name>`` as Nova reads them.

    One group is served by one provider, so its two amounts always come from the same one.  A partition that is asked
    for by name is found by a trait: how large it is depends on the device.  Placement cannot express that slices must
    be on distinct devices, that one of several traits is enough or that a device must be in the consumer's fabric
    domain: the claim checks these.
    """
    compute = 100 if request.isolation == Isolation.WHOLE else request.compute if request.template is None else 1
    group = {f'resources:{names.COMPUTE}': str(compute)}
    if request.memory is not None and request.template is None:
        group[f'resources:{names.MEMORY}'] = str(request.memory)
    group |= {f'trait:{name}': 'required' for name in sorted(_required(request))}
    if request.locality == Locality.REMOTE:
        group[f'trait:{names.LOCAL}'] = 'forbidden'
    return [dict(group) for _ in range(request.count)]


def _required(request: Request) -> set[str]:
    wanted = {names.trait(name) for name in request.traits}
    if len(request.any_traits) == 1:
        wanted.add(names.trait(request.any_traits[0]))
    if request.template is not None:
        wanted.add(names.template(request.template))
    elif request.isolation != ANY_ISOLATION:
        wanted.add(names.mode(request.isolation))
    if request.vendor is not None:
        wanted.add(names.vendor(request.vendor))
    if request.model is not None:
        wanted.add(names.model(request.model))
    if request.pool is not None:
        wanted.add(names.pool(request.pool))
    if request.locality == Locality.HOST:
        wanted.add(names.LOCAL)
    return wanted
