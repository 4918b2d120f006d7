# SPDX-License-Identifier: Apache-2.0
"""A service of a former release, made of this one: ``python -m tests.integration.support.former 1.0 conductor ...``.

It serves, registers and knows what that version of the messages has, and nothing newer.
"""

import importlib
import sys

from accelpool.rpc import transport

#: What each version of the messages brought (module, class, method).
BROUGHT = {'1.1': (('accelpool.conductor.allocations', 'Allocations', 'route'),)}


def number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split('.')))


def main() -> int:
    version, name, *arguments = sys.argv[1:]
    transport.VERSION = version
    for since, methods in BROUGHT.items():
        for module, owner, method in methods if number(since) > number(version) else ():
            delattr(getattr(importlib.import_module(module), owner), method)
    return int(importlib.import_module(f'accelpool.cmd.{name}').main(arguments))


if __name__ == '__main__':
    sys.exit(main())
