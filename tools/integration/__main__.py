# SPDX-License-Identifier: Apache-2.0
"""Starts and stops the services.

    python -m tools.integration up [accelpool|compute|cyborg|ironic ...]   what is not named is left as it is
    python -m tools.integration down
    python -m tools.integration start|stop|kill NAME ...
    python -m tools.integration status
"""

import sys
import time

from tools.integration import layout, services, tasks


def main(argv: list[str]) -> int:
    verb, *names = argv or ['help']
    layout.make()
    match verb:
        case 'up':
            begun = time.monotonic()
            tasks.run(services.steps(names or ['accelpool']))
            print(f'up in {time.monotonic() - begun:.1f} s; . {layout.STATE}/openrc')
        case 'down':
            services.down()
        case 'start' | 'stop' | 'kill':
            for name in names:
                getattr(services.all_services()[name], verb)()
        case 'status':
            for name, service in services.all_services().items():
                print(f'{name:32} {service.pid or "-"}')
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
