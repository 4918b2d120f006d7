# SPDX-License-Identifier: Apache-2.0
"""AscendCL's client libraries against the public headers and the undefined symbols of the torch-npu wheel."""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from accelpool.remoting import artefacts
from accelpool.remoting.generator import __main__ as generator

ROOT = pathlib.Path(__file__).parents[2]
SOURCES = ROOT / 'tests/native/abi'
NATIVE = ROOT / 'accelpool/remoting/native'


def _wheel() -> pathlib.Path | None:
    python = pathlib.Path(os.environ.get('ACCELPOOL_NPU_PYTHON') or ROOT / '.venv-npu/bin/python')
    return next(python.parent.parent.glob('lib/python3*/site-packages/torch_npu'), None)


def symbols(path: pathlib.Path, *flags: str) -> set[str]:
    output = subprocess.run(['nm', '-D', *flags, str(path)], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1].split('@')[0] for line in output.splitlines()}


@unittest.skipUnless(_wheel(), 'torch-npu is not installed (see tests/functional/test_npu_train.py)')
class AclAbi(unittest.TestCase):
    def setUp(self) -> None:
        wheel = _wheel()
        assert wheel
        self.wheel = wheel
        self.place = self.enterContext(tempfile.TemporaryDirectory())
        generator.main(['--out', self.place])
        self.include = wheel / 'include/third_party/acl/inc'
        self.vendor = ['-w', '-DVENDOR', f'-I{self.include}']
        libraries = artefacts.client_library_dir('acl').glob('lib*.so')
        self.exported = set().union(*(symbols(path, '--defined-only') for path in libraries))

    def gcc(self, *arguments: str) -> None:
        result = subprocess.run(['gcc', '-std=c11', *arguments], capture_output=True, text=True)
        self.assertEqual(0, result.returncode, result.stderr)

    def test_prototypes_are_those_of_the_headers(self) -> None:
        self.gcc('-fsyntax-only', *self.vendor, f'-I{self.place}', str(SOURCES / 'acl_prototypes.c'))

    def test_layouts_and_numbers_are_those_of_the_headers(self) -> None:
        outputs = []
        for flags in (self.vendor, [f'-I{NATIVE}/common']):
            program = f'{self.place}/facts'
            self.gcc(*flags, '-o', program, str(SOURCES / 'acl_facts.c'))
            outputs.append(subprocess.run([program], capture_output=True, text=True, check=True).stdout)
        self.assertEqual(*outputs)

    def test_nothing_that_torch_npu_links_to_is_missing(self) -> None:
        needed = set().union(*(symbols(self.wheel / 'lib' / name, '--undefined-only')
                               for name in ('libtorch_npu.so', 'libtensorpipe.so', 'libnpu_profiler.so')))
        needed = {name for name in needed if re.match('acl|rt[A-Z]|Msprof|Hccl', name)}
        self.assertGreater(len(needed), 75)
        self.assertEqual(set(), needed - self.exported)

    def test_what_torch_npu_looks_up_in_the_runtime_is_there(self) -> None:
        text = (self.wheel / 'lib/libtorch_npu.so').read_bytes()
        headers = ''.join(path.read_text(errors='replace') for path in (self.include / 'acl').glob('acl_rt*.h'))
        declared = set(re.findall(r'\b(aclrt[A-Z]\w+)\s*\(', headers))
        asked = {name.decode() for name in re.findall(rb'\0(aclrt[A-Z]\w+)(?=\0)', text)} & declared
        self.assertGreater(len(asked), 60)
        self.assertEqual(set(), asked - self.exported)
