# SPDX-License-Identifier: Apache-2.0
"""AscendCL's client libraries against the public headers and the undefined symbols of the torch-npu wheel."""

import pathlib
import re
import subprocess
import tempfile
import unittest

from accelpool.remoting import artefacts
from accelpool.remoting.generator import __main__ as generator
from accelpool.remoting.generator import model
from tests.functional import npu

ROOT = pathlib.Path(__file__).parents[2]
#: Looked up in libacl_op_compiler, which has them (it refuses, and says that nothing is compiled) ...
COMPILER = frozenset({
    'aclCreateGraphDumpOpt', 'aclDestroyGraphDumpOpt', 'aclGenGraphAndDumpForOp', 'aclGetCompileopt', 'aclGetCompileoptSize',
    'aclSetCompileopt', 'aclopCompileAndExecuteV2'})
#: ... and, only when the program asks for what they do, there, in libascendsk and in libmsprofiler: not to be found.
OTHERS = frozenset({
    'aclopStartDumpArgs', 'aclopStopDumpArgs', 'aclprofMarkEx', 'aclprofSetConfig', 'aclskOptimize', 'aclskScopeBegin',
    'aclskScopeEnd'})
#: In no header of the wheel: what operators of CANN ask of its runtime below aclrt, as that has it.
DECLARED_NOWHERE = frozenset({
    'rtDevBinaryUnRegister', 'rtGetFunctionByName', 'rtGetSocSpec', 'rtKernelLaunchWithFlagV2', 'rtKernelLaunchWithHandle',
    'rtKernelLaunchWithHandleV2', 'rtQueryFunctionRegistered', 'rtRegStreamStateCallback', 'rtRegisterAllKernel'})
SOURCES = ROOT / 'tests/native/abi'
NATIVE = ROOT / 'accelpool/remoting/native'


def symbols(path: pathlib.Path, *flags: str) -> set[str]:
    output = subprocess.run(['nm', '-D', *flags, str(path)], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1].split('@')[0] for line in output.splitlines()}


@npu.needs_torch_npu
class AclAbi(unittest.TestCase):
    def setUp(self) -> None:
        assert npu.WHEEL
        self.wheel = npu.WHEEL
        self.place = self.enterContext(tempfile.TemporaryDirectory())
        generator.main(['--out', self.place])
        self.include = self.wheel / 'include/third_party/acl/inc'
        self.vendor = ['-w', '-DVENDOR', f'-I{self.include}', f'-I{self.place}']
        self.below_aclrt()
        libraries = artefacts.client_library_dir('acl').glob('lib*.so')
        self.exported = set().union(*(symbols(path, '--defined-only') for path in libraries))

    def below_aclrt(self) -> None:
        """The wheel's header of libruntime, for C: no default arguments, integers for enumerations, our names of structures."""
        text = (self.wheel / 'include/torch_npu/csrc/inductor/mlir/hacl_rt.h').read_text()
        for pattern, replacement in ((r' = 0\)', ')'), (r'} (rtError_t|rtMemcpyKind_t);', r'}; typedef int32_t \1;'),
                                     (r'} rtSmDesc_t;', '}; typedef void rtSmDesc_t;'), ('tagRtDevBinary', 'rt_binary')):
            text, changed = re.subn(pattern, replacement, text)
            self.assertGreater(changed, 0, pattern)
        pathlib.Path(self.place, 'hacl_rt.h').write_text(text)

    def headers(self) -> str:
        paths = [*self.include.rglob('*.h'), pathlib.Path(self.place, 'hacl_rt.h')]
        return ''.join(path.read_text(errors='replace') for path in paths)

    def gcc(self, *arguments: str) -> None:
        result = subprocess.run(['gcc', '-std=c11', *arguments], capture_output=True, text=True)
        self.assertEqual(0, result.returncode, result.stderr)

    def test_prototypes_are_those_of_the_headers(self) -> None:
        self.gcc('-fsyntax-only', *self.vendor, str(SOURCES / 'acl_prototypes.c'))

    def test_the_operator_compilers_library_is_that_of_the_headers(self) -> None:
        self.gcc('-fsyntax-only', *self.vendor, *(f'-I{NATIVE}/{name}' for name in ('common', 'client/acl/beside')),
                 str(SOURCES / 'acl_beside.c'))

    def test_the_code_of_collectives_is_that_of_the_headers(self) -> None:
        """Their header is C++."""
        code, = re.findall(r'HCCL_E_NOT_SUPPORT = \d+', (NATIVE / 'client/acl/beside/hccl.c').read_text())
        self.assertIn(f'{code},', (self.wheel / 'include/third_party/hccl/inc/hccl/hccl_types.h').read_text())

    def test_every_type_and_number_of_ours_is_compared(self) -> None:
        facts, ours = (SOURCES / 'acl_facts.c').read_text(), (NATIVE / 'common/acl_abi.h').read_text()
        compared = set(re.findall(r'\w+', facts))
        numbers = {name for names in re.findall(r'enum \{([^}]*)\}', ours) for name in re.findall(r'ACL_\w+', names)}
        names = re.findall(r'typedef int (?!aclError)([^;]*);', ours)
        types = {name for each in names for name in re.findall(r'\w+', each)} | set(re.findall(r'} (\w+);', ours))
        self.assertGreater(len(numbers), 30)
        self.assertGreater(len(types), 30)
        self.assertEqual(set(), (numbers | types) - compared)
        for function in model.load(ROOT / 'accelpool/remoting/interfaces/acl.yaml').functions:
            self.assertTrue(function.name in DECLARED_NOWHERE or re.search(rf'\b{function.name}\s*\(', self.headers()),
                            f'{function.name} is compared with no header')

    def test_layouts_and_numbers_are_those_of_the_headers(self) -> None:
        outputs = []
        for flags in (self.vendor, [f'-I{NATIVE}/{name}' for name in ('common', 'client', 'client/acl')] + [f'-I{self.place}']):
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
        declared = set(re.findall(r'\b(acl[a-zA-Z]\w+)\s*\(', self.headers()))
        asked = {name.decode() for name in re.findall(rb'\0(acl[a-zA-Z]\w+)(?=\0)', text)} & declared
        asked |= {name for name in symbols(self.wheel / 'lib/libtorch_npu.so', '--undefined-only') if name.startswith('acl')}
        asked = {name for name in asked if not name.startswith('aclnn')} - OTHERS
        self.assertEqual(set(), (asked | COMPILER) - self.exported)
        interface = model.load(ROOT / 'accelpool/remoting/interfaces/acl.yaml')
        known = {function.name for function in interface.functions} | set(interface.undescribed)
        self.assertEqual(set(), asked - COMPILER - known)
        self.assertGreaterEqual(len(asked - COMPILER), 167)
