# SPDX-License-Identifier: Apache-2.0
"""Runs the suite and counts: nothing is skipped without being told."""

import sys
import unittest

from tests.hardware import support


def main() -> int:
    print(f'target: {support.target()}', flush=True)
    suite = unittest.defaultTestLoader.discover('tests/hardware', top_level_dir='.')
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    for test, reason in result.skipped:
        print(f'skipped: {test}: {reason}')
    for one in support.verdicts:
        print(f'verdict: {one.name}: {one.got:.3f}, wanted {one.wanted}: {"met" if one.met else "MISSED"}')
    failed = len(result.failures) + len(result.errors)
    print(f'hardware suite: {result.testsRun} tests, {failed} failed, {len(result.skipped)} skipped; '
          f'{sum(one.met for one in support.verdicts)} of {len(support.verdicts)} targets met')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
