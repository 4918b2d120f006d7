# SPDX-License-Identifier: Apache-2.0
"""What an accelerator costs an instance: ``python -m tools.bench.openstack.boot [ROUNDS]``, after
``tools/integration/up.sh compute``.

Instances with and without one take turns on the same Nova; the time is from the request to ACTIVE.
"""

import statistics
import sys
import time

from tests.integration.support.nova import Cloud

#: Seconds between two looks at an instance.
POLL = 0.05


def boot(cloud: Cloud, flavor: str) -> float:
    """Return the seconds from asking for an instance until it is ACTIVE; it is deleted again."""
    begun = time.perf_counter()
    server = cloud.boot(flavor)
    while (found := cloud.server(server))['status'] != 'ACTIVE':
        if found['status'] == 'ERROR':
            raise RuntimeError(f'instance {server} is in ERROR: {found.get("fault")}')
        time.sleep(POLL)
    elapsed = time.perf_counter() - begun
    cloud.delete(server)
    return elapsed


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    cloud = Cloud()
    profile = cloud.profile('bench-boot', {'accel:compute': '10', 'accel:memory': '256'})
    flavors = (cloud.flavor('bench-plain'), cloud.flavor('bench-accelerated', profile))
    for flavor in flavors:
        boot(cloud, flavor)
    plain, accelerated = (statistics.median(column) for column in zip(
        *([boot(cloud, flavor) for flavor in flavors] for _ in range(rounds)), strict=True))
    above = accelerated - plain
    print(f'instance -> ACTIVE, p50: plain {plain:.2f} s, with a shared slice {accelerated:.2f} s: {above:.2f} s more '
          f'(target 0.2 s: {"met" if above <= 0.2 else "MISSED"}; Cyborg 0.4 s)')
    return 0


if __name__ == '__main__':
    sys.exit(main())
