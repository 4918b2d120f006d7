# SPDX-License-Identifier: Apache-2.0
"""Runs the suite and counts: nothing is skipped without being told.

    python -m tests.hardware [NAME ...]    all, or these modules, classes or tests (test_slicing.MigSlices)
"""

import collections
import sys
import unittest

from tests.functional import nvidia
from tests.hardware import support

#: Tests of the driver that no hardware can be made to pass: they are counted.
STAND_IN = ('tests.functional.test_nvidia_inventory', 'tests.functional.test_nvidia_slicing')


def chosen(names: list[str]) -> unittest.TestSuite:
    loader = unittest.defaultTestLoader
    if names:
        return loader.loadTestsFromNames([f'tests.hardware.{name}' for name in names])
    unittest.skip('it makes something happen to a device, or wants a host of a kind: the stand-in only')(nvidia.NvidiaCase)
    return unittest.TestSuite((loader.discover('tests/hardware', top_level_dir='.'), loader.loadTestsFromNames(STAND_IN)))


def main() -> int:
    print(f'target: {support.target()}', flush=True)
    result = unittest.TextTestRunner(verbosity=2).run(chosen(sys.argv[1:]))
    for reason, count in collections.Counter(reason for _, reason in result.skipped).items():
        print(f'skipped: {count}: {reason}')
    for one in support.verdicts:
        print(f'verdict: {one.name}: {one.got:.3f}, wanted {one.wanted}: {"met" if one.met else "MISSED"}')
    failed = len(result.failures) + len(result.errors)
    print(f'hardware suite: {result.testsRun} tests, {failed} failed, {len(result.skipped)} skipped; '
          f'{sum(one.met for one in support.verdicts)} of {len(support.verdicts)} targets met')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
