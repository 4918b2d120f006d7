# SPDX-License-Identifier: Apache-2.0
"""C source to a shared object, in a compiler process with bounded resources."""

import os
import platform
import resource
import signal
import subprocess
from pathlib import Path

from accelpool.drivers.mock.ptx.errors import PtxError
from accelpool.drivers.mock.ptx.translate import translate

COMPILER = 'gcc'
_NATIVE = Path(__file__).resolve().parent.parent / 'native'
_HEADERS = ('kernel.h', 'ptx_runtime.h', 'ptx_float.h', 'ptx_half.h', 'ptx_atomic.h')

TIMEOUT = 120
"""Seconds of wall clock for one compilation."""
CPU_SECONDS = 100
ADDRESS_SPACE = 4 << 30
FILE_SIZE = 512 << 20
_FAST_ABOVE = 64_000
"""Bytes of generated C from which on the time of optimising matters more than what it brings."""
_FASTEST_ABOVE = 3_000_000

_FLAGS = (
    '-std=gnu11', '-fPIC', '-shared', '-fvisibility=hidden', '-w', '-pipe',
    # What a kernel asks for is what happens: no contraction, no assumption that C's rules would allow.
    '-ffp-contract=off', '-fno-strict-aliasing', '-fwrapv', '-fno-delete-null-pointer-checks',
    '-fno-math-errno', '-fno-trapping-math', '-fno-associative-math',
    # A frame larger than a page touches every page on its way down, so that it cannot jump over a guard page.
    '-fstack-clash-protection',
    '-Wl,-z,relro,-z,now',
)


def _runtime() -> str:
    """The headers as one text: the compiler needs no file of ours."""
    parts = []
    for name in _HEADERS:
        text = (_NATIVE / name).read_text('ascii')
        parts.append(''.join(line for line in text.splitlines(keepends=True) if not line.startswith('#include "')))
    return ''.join(parts)


RUNTIME = _runtime()
"""Read when the module is imported: a translator that has given up its rights may not be able to read it later."""


def _target_flags() -> tuple[str, ...]:
    """x86-64-v3 where the CPU has it: a fused multiply-add in one instruction instead of a library call."""
    if platform.machine() != 'x86_64':
        return ()
    needed = {'avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'abm', 'movbe'}
    try:
        text = Path('/proc/cpuinfo').read_text('ascii', errors='replace')
    except OSError:
        return ()
    flags = next((line for line in text.splitlines() if line.startswith('flags')), '')
    return ('-march=x86-64-v3',) if needed <= set(flags.split()) else ()


TARGET_FLAGS = _target_flags()


def compiler_flags(size: int) -> tuple[str, ...]:
    """The flags for a source of that many bytes."""
    level = '-O2' if size <= _FAST_ABOVE else '-O1' if size <= _FASTEST_ABOVE else '-O0'
    return (level, *_FLAGS, *TARGET_FLAGS)


def _limits() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE, FILE_SIZE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def compile_source(source: str, out: Path) -> None:
    """Writes the shared object. Raises PtxError when the compiler refuses or takes too long."""
    command = [COMPILER, *compiler_flags(len(source)), '-x', 'c', '-', '-x', 'none', '-o', str(out), '-lm']
    environment = {'PATH': os.environ.get('PATH', '/usr/bin:/bin'), 'LC_ALL': 'C', 'TMPDIR': str(out.parent)}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               env=environment, preexec_fn=_limits, start_new_session=True)
    try:
        _, errors = process.communicate((RUNTIME + source).encode('ascii'), timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise PtxError('the module takes too long to compile') from None
    if process.returncode != 0:
        first = next((line for line in errors.decode('ascii', 'replace').splitlines() if 'rror' in line), 'no message')
        raise PtxError(f'internal error: the generated code was refused: {first[:200]}')


def compile_module(ptx: bytes, out: Path) -> None:
    """PTX text (a NUL at its end is ignored) to a shared object at `out`. Raises PtxError."""
    compile_source(translate(decode(ptx)), out)


def decode(ptx: bytes) -> str:
    """PTX is ASCII; other bytes may stand in comments and strings."""
    return ptx.rstrip(b'\0').decode('latin-1')
