# SPDX-License-Identifier: Apache-2.0
"""Runs the suite and counts: nothing is skipped without being told.

    python -m tests.hardware [NAME ...]    all, or these modules, classes or tests (test_slicing.MigSlices)
"""

import collections
import sys
import unittest

from tests.hardware import support

#: Modules that are about this suite; their like, test_nvidia_*.py, make the stand-in do what no hardware can be made to.
SUITE = {'test_nvidia_driver', 'test_nvidia_hardware_suite'}


def of_the_stand_in() -> list[unittest.TestCase]:
    """Return the tests of the driver that no hardware can be made to pass, which are skipped and counted."""
    names = sorted(file.stem for file in (support.ROOT / 'tests/functional').glob('test_nvidia_*.py'))
    found = [test for name in names if name not in SUITE
             for case in unittest.defaultTestLoader.loadTestsFromName(f'tests.functional.{name}') for test in case]
    for case in {type(test) for test in found}:
        unittest.skip('it makes something happen to a device, or wants a host of a kind: the stand-in only')(case)
    return found


def chosen(names: list[str]) -> unittest.TestSuite:
    loader = unittest.defaultTestLoader
    if names:
        return loader.loadTestsFromNames([f'tests.hardware.{name}' for name in names])
    return unittest.TestSuite((loader.discover('tests/hardware', top_level_dir='.'), *of_the_stand_in()))


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
