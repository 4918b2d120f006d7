# SPDX-License-Identifier: Apache-2.0
"""The client library against the vendor's public header: symbols, prototypes, layouts, constants, error names.

The header comes with the wheel nvidia-cuda-runtime (or from CUDA_HOME).
"""

import ctypes
import importlib.util
import os
import pathlib
import re
import subprocess
import tempfile
import unittest
from collections.abc import Iterator

from accelpool.remoting import artefacts
from accelpool.remoting.generator import __main__ as generator

ROOT = pathlib.Path(__file__).parents[2]
SOURCES = ROOT / 'tests/native/abi'


def _include_directories() -> Iterator[pathlib.Path]:
    if home := os.environ.get('CUDA_HOME'):
        yield pathlib.Path(home) / 'include'
    package = importlib.util.find_spec('nvidia')
    for location in (package.submodule_search_locations or []) if package else []:
        yield from pathlib.Path(location).glob('cu*/include')
        yield from pathlib.Path(location).glob('cuda_runtime/include')


def _header() -> pathlib.Path | None:
    return next((path for path in _include_directories() if (path / 'cuda.h').exists()), None)


@unittest.skipUnless(_header(), 'the vendor header is not installed (pip install nvidia-cuda-runtime)')
class CudaAbi(unittest.TestCase):
    def setUp(self) -> None:
        include = _header()
        assert include is not None
        self.include = include
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = pathlib.Path(place.name)
        generator.main(['--out', place.name])
        self.ours = [f'-I{place.name}', f'-I{ROOT}/accelpool/remoting/native/client/cuda']

    def gcc(self, *arguments: str) -> str:
        result = subprocess.run(['gcc', '-std=c11', '-Wall', '-Werror', *arguments], capture_output=True, text=True)
        self.assertEqual(0, result.returncode, result.stderr)
        return result.stdout

    def test_prototypes_are_those_of_the_header(self) -> None:
        self.gcc('-fsyntax-only', f'-I{self.include}', *self.ours, str(SOURCES / 'prototypes.c'))

    def test_constants_are_those_of_the_header(self) -> None:
        self.gcc('-fsyntax-only', f'-I{self.include}', *self.ours, str(SOURCES / 'constants.c'))

    def test_occupancy_is_what_the_vendor_calculates(self) -> None:
        client = ROOT / 'accelpool/remoting/native/client'
        program = str(self.place / 'occupancy')
        self.gcc(f'-I{self.include}', *self.ours, f'-I{client}', f'-I{client.parent}/common', '-D_GNU_SOURCE', '-O1',
                 '-o', program, str(SOURCES / 'occupancy.c'), str(client / 'cuda/occupancy.c'))
        result = subprocess.run([program], capture_output=True, text=True)
        self.assertEqual((0, ''), (result.returncode, result.stdout))

    def test_layouts_are_those_of_the_header(self) -> None:
        outputs = []
        for flags in (['-DVENDOR', f'-I{self.include}'], self.ours):
            program = str(self.place / 'layout')
            self.gcc(*flags, '-o', program, str(SOURCES / 'layout.c'))
            outputs.append(subprocess.run([program], capture_output=True, text=True, check=True).stdout)
        self.assertEqual(*outputs)

    def test_every_function_of_the_header_is_exported_and_nothing_else(self) -> None:
        source = self.place / 'all.c'
        source.write_text('#define __CUDA_API_VERSION_INTERNAL\n#include <cuda.h>\n')
        text = self.gcc('-E', '-P', f'-I{self.include}', str(source))
        declared = set(re.findall(r'CUresult\s+(cu\w+)\s*\(', text))
        symbols = subprocess.run(['nm', '-D', '--defined-only', str(artefacts.client_library('cuda'))],
                                 capture_output=True, text=True, check=True).stdout
        exported = {line.split()[-1] for line in symbols.splitlines()}
        self.assertGreater(len(declared), 500)
        self.assertEqual(set(), {name for name in declared - exported})
        self.assertTrue(all(name.startswith('cu') for name in exported), exported)

    def test_every_error_of_the_header_has_its_name(self) -> None:
        library = ctypes.CDLL(str(artefacts.client_library('cuda')))
        text = (self.include / 'cuda.h').read_text()
        enumeration = text[text.index('typedef enum cudaError_enum'):text.index('} CUresult;')]
        codes = {int(value): name for name, value in re.findall(r'(CUDA_\w+)\s*=\s*(\d+)', enumeration)}
        self.assertGreater(len(codes), 80)
        for code, name in codes.items():
            found, sentence = ctypes.c_char_p(), ctypes.c_char_p()
            self.assertEqual(0, library.cuGetErrorName(code, ctypes.byref(found)), name)
            self.assertEqual(name.encode(), found.value)
            self.assertEqual(0, library.cuGetErrorString(code, ctypes.byref(sentence)))
            self.assertTrue(sentence.value)
        self.assertEqual(1, library.cuGetErrorName(12345, ctypes.byref(found)))
