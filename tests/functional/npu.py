# SPDX-License-Identifier: Apache-2.0
"""The interpreter with torch and torch-npu that some tests need.

torch lives in an environment of its own: ``ACCELPOOL_NPU_PYTHON`` names its interpreter, otherwise ``.venv-npu`` in the
clone has it (``python -m venv .venv-npu; .venv-npu/bin/pip install torch==2.13.0 torch-npu==2.13.0``).  Without it they
are skipped; with ``ACCELPOOL_NPU_REQUIRED=1``, which CI sets, that is an error.
"""

import os
import pathlib
import unittest

from tests.hardware.ascend.slices import PYTHON

WHEEL = next(pathlib.Path(PYTHON).parent.parent.glob('lib/python3*/site-packages/torch_npu'), None)
_MISSING = f'torch-npu is not installed for {PYTHON} (see tests/functional/npu.py)'
if WHEEL is None and os.environ.get('ACCELPOOL_NPU_REQUIRED') == '1':
    raise RuntimeError(f'{_MISSING}, and ACCELPOOL_NPU_REQUIRED=1 wants it')
needs_torch_npu = unittest.skipIf(WHEEL is None, _MISSING)
