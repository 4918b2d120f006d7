# SPDX-License-Identifier: Apache-2.0
"""What one question for candidates costs a real Placement, with all devices in one provider and in one each.

Not among the figures of ``python -m tools.bench``: it needs Placement (``tools/integration/up.sh compute``), and nobody
else may keep an inventory there meanwhile.  ``python -m tools.bench.placement_candidates``
"""

import time

from accelpool import types
from accelpool.placement.difference import difference, join
from accelpool.placement.groups import groups
from accelpool.placement.providers import providers
from tests.integration.support import placement
from tools.bench.figure import percentile

DEVICES, COMPUTES, ROUNDS = 32, 50, 20
WISH = types.Request(compute=30, memory=8192)


def main() -> None:
    placement.sweep()
    nova, client = placement.Nova(*(f'bench-{number}' for number in range(COMPUTES))), placement.client()
    client.ours()  # makes the resource classes
    for identifier in nova.computes.values():
        client.apply(identifier, 2, join(frozenset()))
    try:
        for way, each in (('one provider for all devices', False), ('one provider for each device', True)):
            devices = [types.Candidate(
                device_id=f'd{number}', host='h', vendor='v', model='m', compute=100, memory=81_920, free_compute=100,
                free_memory=81_920, slices=0, generation=1, traits=(f'BENCH_{number}',) if each else ())
                for number in range(DEVICES)]
            wanted = providers(devices, [], {})
            for identifier, provider in wanted.items():
                generation = 0
                client.existing(provider.traits)
                for step in difference(provider, None):
                    generation = client.apply(identifier, generation, step)
            took = []
            for _ in range(ROUNDS):
                begun = time.perf_counter()
                found = nova.candidates(groups(WISH), limit=1000)
                took.append(time.perf_counter() - begun)
            hosts = {uuid for one in found for uuid in one['allocations']} & set(nova.computes.values())
            print(f'{DEVICES} devices, {COMPUTES} compute hosts, {way}: {percentile(took, 50) * 1e3:.0f} ms, '
                  f'{len(found)} candidates on {len(hosts)} hosts')
            nova.remove(wanted)
    finally:
        placement.sweep()


if __name__ == '__main__':
    main()
