# SPDX-License-Identifier: Apache-2.0
"""Runs the suite and counts: nothing is skipped without being told.

On a host with an Ascend NPU, its driver, CANN and, in ``ACCELPOOL_NPU_PYTHON``, an interpreter with torch and torch-npu::

    python -m tests.hardware.ascend

``ACCELPOOL_HW_EMULATED=1`` rehearses on an emulated device and a stand-in of DCMI: the programs are tested, not the device.
``ACCELPOOL_HW_MUTATE=1`` splits a chip, too.
"""

import os
import sys
import unittest

from tests.hardware.ascend import driver, slices


def main() -> int:
    print(f'target: {"emulated" if slices.EMULATED else "ascend"}, torch: {slices.PYTHON}', flush=True)
    if not slices.EMULATED and not os.path.exists('/dev/davinci_manager'):
        print('ascend suite: 0 tests: no NPU here (/dev/davinci_manager is missing)')
        return 0
    suite = unittest.TestSuite(map(unittest.defaultTestLoader.loadTestsFromModule, (driver, slices)))
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    for test, reason in result.skipped:
        print(f'skipped: {test}: {reason}')
    failed = len(result.failures) + len(result.errors)
    print(f'ascend suite: {result.testsRun} tests, {failed} failed, {len(result.skipped)} skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
