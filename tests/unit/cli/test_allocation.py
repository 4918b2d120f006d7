# SPDX-License-Identifier: Apache-2.0
"""What the command line says of an allocation that is not quite what was asked for."""

import contextlib
import io
import unittest
from typing import Any

from accelpool.cli import allocation


class Surplus(unittest.TestCase):

    def said(self, request: dict[str, Any], **piece: Any) -> str:
        with contextlib.redirect_stderr(io.StringIO()) as stderr:
            allocation.say_surplus({'request': {'compute': 40, 'memory': 8000, 'template': None} | request,
                                    'slices': [{'template': 'vir04', 'compute': 50, 'memory': 12288} | piece]})
        return stderr.getvalue()

    def test_a_partition_that_is_larger(self) -> None:
        self.assertEqual('accelpool: vir04: 10 percent points and 4288 MiB more than was asked for\n', self.said({}))
        self.assertIn('10 percent points and 0 MiB', self.said({'memory': None}))

    def test_one_that_was_named_or_fits_and_a_share(self) -> None:
        for request, piece in (({'template': 'vir04'}, {}), ({'compute': 50, 'memory': 12288}, {}),
                               ({}, {'template': None})):
            self.assertEqual('', self.said(request, **piece))
