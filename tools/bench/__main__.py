# SPDX-License-Identifier: Apache-2.0
"""Every figure of the documentation: ``python -m tools.bench [NAME ...]``.

Each line says what was measured, the target, the value, and the command that measures it alone.
"""

import argparse
import importlib
import sys

NAMES = ('allocate', 'run_overhead', 'data_path', 'shares', 'footprint', 'health', 'placement')


def main() -> int:
    parser = argparse.ArgumentParser(prog='python -m tools.bench')
    parser.add_argument('names', nargs='*', choices=(*NAMES, []), help='which ones (default: all)')
    parser.add_argument('--quick', action='store_true', help='fewer rounds')
    options = parser.parse_args()
    for name in options.names or NAMES:
        module = importlib.import_module(f'tools.bench.{name}')
        for figure in module.measure(quick=options.quick):
            print(f'{figure}\n    python -m tools.bench {name}', flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
