# SPDX-License-Identifier: Apache-2.0
"""tools/hw/build.sh with programs that only pretend to build."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).parents[2]

#: Makes the file that is named after ``-o``.
COMPILER = """#!/bin/sh
while [ "$1" != -o ]; do shift; done
echo >"$2"
"""
#: The packages take three MiB; numba-cuda is installed nowhere.
PYTHON = """#!/bin/sh
case "$*" in
    *get_path*) echo /nonexistent;;
    -c*) echo 3.12;;
    *) mkdir -p "$2" && head -c 3145728 /dev/zero >"$2/data";;
esac
"""
PROGRAMS = {'nvcc': COMPILER, 'gcc': COMPILER, 'venv/bin/python': PYTHON,
            'make': '#!/bin/sh\nmkdir -p accelpool/_native/bin\n'}


class WhatIsCarried(unittest.TestCase):
    def setUp(self) -> None:
        self.place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.place / 'tools/hw').mkdir(parents=True)
        shutil.copy(ROOT / 'tools/hw/build.sh', self.place / 'tools/hw')
        for name, text in PROGRAMS.items():
            path = self.place / 'programs' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)

    def build(self, **options: str) -> subprocess.CompletedProcess[str]:
        env = {key: value for key, value in os.environ.items() if key not in ('CARRY_MIB', 'NVCC')}
        programs = self.place / 'programs'
        return subprocess.run(
            [self.place / 'tools/hw/build.sh'], capture_output=True, text=True, check=False, timeout=60,
            env=env | options | {'PATH': f'{programs}:{os.environ["PATH"]}', 'VENV': str(programs / 'venv')})

    def test_what_is_small_enough(self) -> None:
        for options in ({}, {'CARRY_MIB': '16'}):
            done = self.build(**options)
            self.assertEqual(0, done.returncode, done.stderr)
            self.assertRegex(done.stdout, r'hw/build: build/hw takes [34] MiB')

    def test_what_is_too_large_fails(self) -> None:
        done = self.build(CARRY_MIB='2')
        self.assertEqual(1, done.returncode, done.stdout)
        self.assertIn('more than the 2 MiB that may be carried', done.stderr)
