# SPDX-License-Identifier: Apache-2.0
"""The emulated CUDA library against the vendor's public headers: numbers, layouts, parameters, names and versions.

The headers come with the wheel nvidia-cuda-runtime (or from CUDA_HOME).
"""

import importlib.util
import os
import pathlib
import re
import subprocess
import tempfile
import unittest
from collections.abc import Iterator

from accelpool.remoting import artefacts

ROOT = pathlib.Path(__file__).parents[2]
SOURCES = ROOT / 'accelpool/drivers/mock/native'

#: Bounds that we set ourselves, under a name that the vendor does not have or gives another value in each release.
OWN = {'CU_CTX_FLAGS_MASK', 'CU_MEMHOSTREGISTER_FLAGS_MASK', 'CU_JIT_NUM_OPTIONS', 'CU_LIMIT_MAX', 'CU_FUNC_ATTRIBUTE_MAX'}
#: proc_address.c knows them without the table.
NOT_IN_TABLE = {'cuGetProcAddress', 'cuGetProcAddress_v2'}


def _include() -> pathlib.Path | None:
    places = [pathlib.Path(os.environ['CUDA_HOME']) / 'include'] if 'CUDA_HOME' in os.environ else []
    package = importlib.util.find_spec('nvidia')
    for location in (package.submodule_search_locations or []) if package else []:
        places += pathlib.Path(location).glob('cu*/include')
    return next((place for place in places if (place / 'cuda.h').exists()), None)


def _without_comments(text: str) -> str:
    return re.sub(r'/\*.*?\*/', '', text, flags=re.DOTALL)


def _prototypes(text: str) -> Iterator[tuple[str, int]]:
    """Yield the name and the number of parameters of each function declared or defined in C text."""
    for name, parameters in re.findall(r'\bCUresult\s+(cu[A-Z]\w*)\s*\(((?:[^()]|\([^()]*\))*)\)\s*[;{]', text):
        parameters = parameters.strip()
        yield name, 0 if parameters == 'void' else parameters.count(',') + 1


@unittest.skipUnless(_include(), 'the vendor header is not installed (pip install nvidia-cuda-runtime)')
class HeaderTest(unittest.TestCase):
    def setUp(self) -> None:
        include = _include()
        assert include is not None
        self.include = include
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = pathlib.Path(place.name)

    def gcc(self, *arguments: str) -> str:
        done = subprocess.run(['gcc', *arguments], capture_output=True, text=True, check=False)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout

    def test_numbers_and_layouts(self) -> None:
        names = re.findall(r'^ {4}(CU[A-Z0-9_]+) = ', (SOURCES / 'cuda_abi.h').read_text(), flags=re.MULTILINE)
        self.assertGreater(len(names), 120)
        (self.place / 'numbers.h').write_text('\n'.join(f'NUMBER({name})' for name in names if name not in OWN))
        outputs = []
        for which in ([f'-I{SOURCES}'], ['-DVENDOR', f'-I{self.include}']):
            program = str(self.place / 'abi')
            self.gcc(*which, f'-I{self.place}', '-o', program, str(ROOT / 'tests/native/emu_abi.c'))
            outputs.append(subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines())
        self.assertEqual(outputs[1], outputs[0])

    def test_functions_take_as_many_parameters_as_the_header_says(self) -> None:
        header = {}
        for define in ('-DONCE', '-DCUDA_API_PER_THREAD_DEFAULT_STREAM', '-D__CUDA_API_VERSION_INTERNAL'):
            header.update(_prototypes(self.gcc('-E', '-P', define, str(self.include / 'cuda.h'))))
        ours = {}
        for source in SOURCES.glob('*.c'):
            ours.update(_prototypes(_without_comments(source.read_text())))
        self.assertGreater(len(ours), 230)
        differing = {name: (count, header[name]) for name, count in ours.items() if name in header and header[name] != count}
        self.assertEqual({}, differing)
        self.assertEqual({'cuProfilerStart', 'cuProfilerStop'}, {name for name in ours if name not in header})

    def test_versions_of_names(self) -> None:
        versions = set(re.findall(r'\bPFN_(cu\w+?)_v(\d+)(_ptsz|_ptds)?\b', (self.include / 'cudaTypedefs.h').read_text()))
        known = {(name, int(version)) for name, version, _ in versions}
        table = re.findall(r'X\((\w+), (\d+), ([01]), (\w+)\)', (SOURCES / 'symbols.c').read_text())
        for name, version, _, _ in table:
            if not name.startswith('cuProfiler'):  # declared in a header of its own
                self.assertIn((name, int(version)), known)


class SymbolTest(unittest.TestCase):
    def test_every_exported_name_can_be_asked_for(self) -> None:
        library = artefacts.emulated_library('cuda')
        if not library.exists():
            self.fail(f'{library} does not exist; build the native parts with `make native`')
        listing = subprocess.run(['nm', '-D', '--defined-only', library], capture_output=True, text=True, check=True).stdout
        exported = {line.split()[2] for line in listing.splitlines() if ' T cu' in line}
        table = {name for _, _, _, name in re.findall(r'X\((\w+), (\d+), ([01]), (\w+)\)', (SOURCES / 'symbols.c').read_text())}
        self.assertEqual(exported - NOT_IN_TABLE, table)
        other = {line.split()[2] for line in listing.splitlines() if ' T cu' not in line}
        hooks = ('attach', 'access', 'idle', 'share', 'adopt')
        self.assertEqual({f'accelpool_backend_{hook}' for hook in hooks}, other)
