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
from accelpool.remoting.generator import model

ROOT = pathlib.Path(__file__).parents[2]
#: Looked up in libacl_op_compiler, which has them (it refuses, and says that nothing is compiled) ...
COMPILER = frozenset({
    'aclCreateGraphDumpOpt', 'aclDestroyGraphDumpOpt', 'aclGenGraphAndDumpForOp', 'aclGetCompileopt', 'aclGetCompileoptSize',
    'aclSetCompileopt', 'aclopCompileAndExecuteV2'})
#: ... and, only when the program asks for what they do, there, in libascendsk and in libmsprofiler: not to be found.
OTHERS = frozenset({
    'aclopStartDumpArgs', 'aclopStopDumpArgs', 'aclprofMarkEx', 'aclprofSetConfig', 'aclskOptimize', 'aclskScopeBegin',
    'aclskScopeEnd'})
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

    def test_what_torch_npu_links_to_or_looks_up_of_ascendcl_is_carried_answered_or_refused(self) -> None:
        """167 functions of libascendcl, and some of libacl_op_compiler that are in the runtime here."""
        text = (self.wheel / 'lib/libtorch_npu.so').read_bytes()
        headers = ''.join(path.read_text(errors='replace') for path in self.include.rglob('*.h'))
        declared = set(re.findall(r'\b(acl[a-zA-Z]\w+)\s*\(', headers))
        asked = {name.decode() for name in re.findall(rb'\0(acl[a-zA-Z]\w+)(?=\0)', text)} & declared
        asked |= {name for name in symbols(self.wheel / 'lib/libtorch_npu.so', '--undefined-only') if name.startswith('acl')}
        asked = {name for name in asked if not name.startswith('aclnn')} - OTHERS
        self.assertEqual(set(), (asked | COMPILER) - self.exported)
        interface = model.load(ROOT / 'accelpool/remoting/interfaces/acl.yaml')
        known = {function.name for function in interface.functions} | set(interface.undescribed)
        self.assertEqual(set(), asked - COMPILER - known)
        self.assertGreaterEqual(len(asked - COMPILER), 167)
