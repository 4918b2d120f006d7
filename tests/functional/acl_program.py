# SPDX-License-Identifier: Apache-2.0
"""Programs on AscendCL: ``python -m tests.functional.acl_program SCENARIO``; the exit status says how it went."""

import ctypes
import os
import pathlib
import struct
import sys
import tempfile
import threading
from ctypes import c_size_t as Size
from ctypes import c_void_p as Handle
from typing import Final

from accelpool.remoting.generator import model
from tests.functional import acl_api as acl
from tests.functional.acl_arguments import arguments

INVENTED = (1, 0x7777_7777_7777, 0xa0_0000_0000_0100, (1 << 64) - 16)
SCALARS = {'int32_t': ctypes.c_int32, 'uint32_t': ctypes.c_uint32, 'uint64_t': ctypes.c_uint64, 'size_t': Size,
           'aclrtFloatOverflowMode': ctypes.c_int}
HANDLES = {'aclrtStream': 'stream', 'aclrtEvent': 'event'}
HUGE = (1 << 64) - 1


def device() -> None:
    """What a program asks first."""
    count = ctypes.c_uint32()
    acl.expect(acl.CONTEXT_NULL if acl.library.aclInit(None) == 0 else -1, 'aclrtGetDevice', ctypes.byref(count))
    acl.call('aclrtGetDeviceCount', ctypes.byref(count))
    assert count.value == 1
    acl.expect(acl.INVALID_DEVICE, 'aclrtSetDevice', 1)
    acl.call('aclrtSetDevice', 0)
    acl.library.aclrtGetSocName.restype = ctypes.c_char_p
    assert acl.library.aclrtGetSocName() == b'Ascend910B3'
    value = ctypes.c_int64()
    acl.call('aclrtGetDeviceInfo', 0, 101, ctypes.byref(value))
    assert value.value == 16
    acl.call('aclrtGetDeviceInfo', 0, 301, ctypes.byref(value))
    assert value.value == 512 * acl.MIB
    acl.expect(acl.INVALID_PARAM, 'aclrtGetDeviceInfo', 0, 12345, ctypes.byref(value))


def memory() -> None:
    """The slice is the device: its size, its last byte, and no more."""
    acl.start()
    free, total = Size(), Size()
    acl.call('aclrtGetMemInfo', 1, ctypes.byref(free), ctypes.byref(total))
    assert total.value == 512 * acl.MIB and free.value <= total.value
    big = acl.allocate(free.value - 4096)
    address = Handle()
    acl.expect(acl.NO_MEMORY, 'aclrtMalloc', ctypes.byref(address), Size(acl.MIB), 0)
    acl.write(big + free.value - 4096 - 4, b'last')
    assert acl.read(big + free.value - 4096 - 4, 4) == b'last'
    acl.call('aclrtFree', Handle(big))
    acl.allocate(256 * acl.MIB)


def copies() -> None:
    """Every kind of copy, also large ones; kinds that contradict the addresses are refused."""
    acl.start()
    data = os.urandom(3 * acl.MIB + 5)
    one, other = acl.allocate(len(data)), acl.allocate(len(data))
    acl.write(one, data)
    size = Size(len(data))
    acl.call('aclrtMemcpyAsync', Handle(other), size, Handle(one), size, acl.WITHIN, None)
    assert acl.read(other, len(data)) == data
    acl.call('aclrtMemset', Handle(other), size, 7, Size(100))
    assert acl.read(other, 101) == b'\7' * 100 + data[100:101]
    host = ctypes.create_string_buffer(len(data))
    acl.call('aclrtMemcpy', host, size, Handle(one), size, acl.DEFAULT)
    assert host.raw == data
    for kind in (acl.TO_DEVICE, acl.WITHIN, 0, 99):
        acl.expect(acl.INVALID_PARAM, 'aclrtMemcpy', host, size, Handle(one), size, kind)
    acl.expect(acl.INVALID_PARAM, 'aclrtMemcpy', host, Size(4), Handle(one), size, acl.TO_HOST)


def kernels() -> None:
    """A launch computes; the place holder is filled in; streams order it."""
    acl.start()
    _binary, add = acl.function('add', 'mul')
    values = struct.pack('<1024f', *range(1024))
    one, two, out = (acl.allocate(4096) for _ in range(3))
    acl.write(one, values)
    acl.write(two, values)
    stream, event = acl.create('aclrtCreateStreamWithConfig', 0, 0), acl.create('aclrtCreateEventExWithFlag', 8)
    acl.launch(add, arguments([out, one, two], 1024, numbers=(2, 0, 0, 0)), 3, stream)
    acl.call('aclrtRecordEvent', event, stream)
    acl.call('aclrtStreamWaitEvent', None, event)
    acl.call('aclrtSynchronizeStream', stream)
    assert struct.unpack('<1024f', acl.read(out, 4096)) == tuple(3.0 * i for i in range(1024))
    state = ctypes.c_int(9)
    acl.call('aclrtQueryEventStatus', event, ctypes.byref(state))
    assert state.value == 1
    acl.call('aclrtStreamQuery', stream, ctypes.byref(state))
    assert state.value == 0


def launches() -> None:
    """Every way to launch, with a binary from a file and functions by number; asynchronous copies and fills around them."""
    acl.start()
    values = struct.pack('<1024f', *range(1024))
    one, two, out = (acl.allocate(4096) for _ in range(3))
    stream, size = acl.create('aclrtCreateStream'), Size(4096)
    binary, add, multiply = Handle(), Handle(), Handle()
    with tempfile.NamedTemporaryFile() as file:
        file.write(acl.NPU_MAGIC + b'add\nmul\n')
        file.flush()
        acl.call('aclrtBinaryLoadFromFile', file.name.encode(), None, ctypes.byref(binary))
    acl.expect(107009, 'aclrtBinaryLoadFromFile', file.name.encode(), None, ctypes.byref(Handle()))  # is no more
    for entry, kernel in ((0, add), (1, multiply)):
        acl.call('aclrtBinaryGetFunctionByEntry', binary, ctypes.c_uint64(entry), ctypes.byref(kernel))
    acl.expect(acl.INVALID_PARAM, 'aclrtBinaryGetFunctionByEntry', binary, ctypes.c_uint64(2), ctypes.byref(Handle()))
    for address in (one, two):
        acl.call('aclrtMemcpyAsyncWithCondition', Handle(address), size, values, size, acl.TO_DEVICE, stream)

    def result() -> tuple[float, ...]:
        host = ctypes.create_string_buffer(4096)
        acl.call('aclrtMemcpyAsync', host, size, Handle(out), size, acl.TO_HOST, stream)
        acl.call('aclrtMemsetAsync', Handle(out), size, 0, size, stream)
        acl.call('aclrtSynchronizeStream', stream)
        assert acl.read(out, 4096) == bytes(4096)
        return struct.unpack('<1024f', host.raw)

    # The two ways without place holders: the tiling data lies in device memory.
    data = arguments([out, one, two], 1024)
    tiling = acl.allocate(len(data))
    acl.write(tiling, data)
    plain = data[:24] + struct.pack('<Q', tiling + 32)
    for function, kernel, settings in (('aclrtLaunchKernel', add, ()), ('aclrtLaunchKernelV2', multiply, (None,))):
        acl.call(function, kernel, 1, plain, Size(len(plain)), *settings, stream)
        expected = {'aclrtLaunchKernel': lambda i: 2.0 * i, 'aclrtLaunchKernelV2': lambda i: float(i * i)}[function]
        assert result() == tuple(map(expected, range(1024))), function
    acl.launch(add, data, 3, stream)
    assert result() == tuple(2.0 * i for i in range(1024))


def faults() -> None:
    """A kernel that is handed memory that is not its own faults, and the fault is told, not hidden."""
    acl.start()
    _binary, add = acl.function('add')
    mine = acl.allocate(4096)
    acl.launch(add, arguments([0x1000, mine, mine], 1024), 3)
    acl.expect(acl.AICORE_EXCEPTION, 'aclrtSynchronizeDevice')


def fault_shape() -> None:
    """A shape that reaches behind its memory is a fault like any other."""
    acl.start()
    _binary, add = acl.function('add')
    mine = acl.allocate(4096)
    acl.launch(add, arguments([mine, mine, mine], 1 << 28), 3)
    acl.expect(acl.AICORE_EXCEPTION, 'aclrtSynchronizeDevice')


def binaries() -> None:
    """Images that are none, names that they lack, functions of a binary that is gone."""
    acl.start()
    binary, found = Handle(), Handle()
    acl.expect(acl.INVALID_PARAM, 'aclrtBinaryLoadFromData', b'\177ELF' + bytes(60), Size(64), None, ctypes.byref(binary))
    acl.expect(acl.INVALID_PARAM, 'aclrtBinaryLoadFromData', None, Size(64), None, ctypes.byref(binary))
    acl.expect(acl.INVALID_PARAM, 'aclrtBinaryLoadFromData', b'x', Size(HUGE), None, ctypes.byref(binary))
    binary, add = acl.function('add')
    for name in (b'mul', b'', b'x' * 2000, None):
        acl.expect(acl.INVALID_PARAM, 'aclrtBinaryGetFunction', binary, name, ctypes.byref(found))
    for value in (0, *INVENTED):
        acl.expect(acl.INVALID_HANDLE, 'aclrtBinaryGetFunction', Handle(value), b'add', ctypes.byref(found))
    acl.expect(acl.INVALID_PARAM, 'aclrtBinaryGetFunction', binary, b'add', None)
    data, tensor = arguments([0], 1), acl.allocate(64)
    size, one = Size(len(data)), Size(1)
    for blocks, sent, length, place in ((0, data, size, None), (1, None, size, None), (1, data, Size(0), None),
                                        (1, data, Size(HUGE), None), (1, data, size, struct.pack('<II', len(data), 0)),
                                        (1, data, size, struct.pack('<II', 0, len(data))),
                                        (1, data, size, struct.pack('<II', len(data) - 7, 0))):
        acl.expect(acl.INVALID_PARAM, 'aclrtLaunchKernelWithHostArgs', add, blocks, None, None, sent, length, place,
                   one if place else Size(0))
    acl.expect(acl.INVALID_PARAM, 'aclrtLaunchKernelWithHostArgs', add, 1, None, None, data, size, None, one)
    acl.expect(acl.INVALID_HANDLE, 'aclrtLaunchKernelWithHostArgs', add, 1, Handle(8), None, data, size, None, Size(0))
    acl.call('aclrtBinaryUnLoad', binary)
    acl.expect(acl.INVALID_HANDLE, 'aclrtBinaryUnLoad', binary)
    acl.launch(add, arguments([tensor], 1), 1, error=acl.INVALID_HANDLE)
    acl.call('aclrtSynchronizeDevice')


def refused() -> None:
    """What is not carried answers 207000, and never 0."""
    acl.start()
    undescribed = model.load(pathlib.Path('accelpool/remoting/interfaces/acl.yaml')).undescribed
    for name, kind in undescribed.items():
        acl.expect({'value': 0, 'undefined': -1}.get(kind, acl.NOT_SUPPORTED), name)


def refused_beside() -> None:
    """The libraries beside libascendcl refuse in their own words; argv: of which library, with which code, what."""
    library = ctypes.CDLL(sys.argv[2])
    for name in sys.argv[4:] * 2:
        code = getattr(library, name)()
        assert code == int(sys.argv[3]), f'{name} returned {code}'


def compiler() -> None:
    """Compiling operators at run time is off: who asks is told so, and who asks for it all the same is refused."""
    library, value = ctypes.CDLL('libacl_op_compiler.so'), ctypes.create_string_buffer(16)
    jit_compile, precision_mode = 10, 0
    size = Size(library.aclGetCompileoptSize(jit_compile))
    assert library.aclGetCompileopt(jit_compile, value, size) == 0 and value.value == b'disable'
    assert library.aclGetCompileopt(jit_compile, value, Size(3)) == acl.INVALID_PARAM
    assert library.aclSetCompileopt(jit_compile, b'disable') == library.aclSetCompileopt(precision_mode, b'fp16') == 0
    library.aclCreateGraphDumpOpt.restype = Handle
    for _ in range(2):
        assert library.aclSetCompileopt(jit_compile, b'enable') == acl.NOT_SUPPORTED
        assert library.aclGetCompileopt(precision_mode, value, Size(16)) == acl.NOT_SUPPORTED
        assert library.aclCreateGraphDumpOpt() is None


class Generated:
    """Bad input for every call of the description that says what its arguments are."""

    def __init__(self) -> None:
        self.interface = model.load(pathlib.Path('accelpool/remoting/interfaces/acl.yaml'))
        self.buffer = ctypes.create_string_buffer(64)
        self.memory = acl.allocate(4096)
        self.live = {'stream': acl.create('aclrtCreateStream'), 'event': acl.create('aclrtCreateEvent')}
        self.gone = {'stream': acl.create('aclrtCreateStream'), 'event': acl.create('aclrtCreateEvent')}
        acl.call('aclrtDestroyStream', self.gone['stream'])
        acl.call('aclrtDestroyEvent', self.gone['event'])
        self.cases = 0

    def good(self, argument: model.Argument) -> object:
        if argument.is_output:
            return self.buffer
        if argument.ctype in HANDLES:
            return self.live[HANDLES[argument.ctype]]
        if argument.reads or argument.writes:
            return Handle(self.memory)
        return SCALARS[argument.ctype](1)

    def bad(self, function: model.Function, argument: model.Argument) -> list[tuple[object, int]]:
        """Values that an argument must not have, each with its error."""
        if argument.is_output:
            return [(None, acl.INVALID_PARAM)]
        if argument.ctype in HANDLES:
            kind = HANDLES[argument.ctype]
            foreign = self.live['event' if kind == 'stream' else 'stream']
            values = [self.gone[kind], foreign, *map(Handle, INVENTED)]
            if kind == 'event' or argument.destroys:
                values.append(Handle(None))  # as a stream it is the default one
            return [(value, acl.INVALID_HANDLE) for value in values]
        if argument.reads or argument.writes:
            places = (None, 0x1000, ctypes.addressof(self.buffer), self.memory + 8192, HUGE)
            return [(Handle(place), acl.INVALID_PARAM) for place in places]
        if argument.ctype == 'size_t' and any(argument.name in (a.reads or a.writes) for a in function.args):
            return [(Size(size), acl.INVALID_PARAM) for size in (8192, 1 << 40, HUGE)]
        return []

    def run(self) -> None:
        for function in self.interface.calls:
            if function.by_hand:
                continue
            for position, argument in enumerate(function.args):
                for value, error in self.bad(function, argument):
                    values = [self.good(other) for other in function.args]
                    values[position] = value
                    acl.expect(error, function.name, *values)
                    self.cases += 1


def bad_input() -> None:
    """Null, freed, foreign and overflowing arguments are errors at once, and the session goes on as if nothing was."""
    acl.start()
    cases = Generated()
    cases.run()
    assert cases.cases > 150, cases.cases
    for function in ('aclrtFree', 'aclrtFreeHost', 'aclrtHostUnregister'):
        for value in (None, *INVENTED, cases.memory + 256):
            acl.expect(acl.INVALID_PARAM, function, Handle(value))
    acl.call('aclrtFree', Handle(cases.memory))
    acl.expect(acl.INVALID_PARAM, 'aclrtFree', Handle(cases.memory))
    size = Size(64)
    acl.expect(acl.INVALID_PARAM, 'aclrtMemcpy', Handle(cases.memory), size, b'x' * 64, size, acl.TO_DEVICE)
    address = Handle()
    acl.expect(acl.INVALID_PARAM, 'aclrtMalloc', None, size, 0)
    acl.expect(acl.INVALID_PARAM, 'aclrtMalloc', ctypes.byref(address), Size(0), 0)
    for much in (HUGE, 1 << 62, 1 << 40):
        acl.expect(acl.NO_MEMORY, 'aclrtMalloc', ctypes.byref(address), Size(much), 0)
    acl.call('aclrtSynchronizeDevice')
    copies_after = acl.allocate(64)
    acl.write(copies_after, b'y' * 64)
    assert acl.read(copies_after, 64) == b'y' * 64


RT_LAUNCHES = ('rtKernelLaunch', 'rtKernelLaunchWithFlag', 'rtKernelLaunchWithFlagV2', 'rtKernelLaunchWithHandle',
               'rtKernelLaunchWithHandleV2')


class ByHand:
    """Bad input for the calls whose client part is written by hand: null pointers, invented and freed handles."""

    HANDLES = frozenset({'aclrtStream', 'aclrtEvent', 'aclrtContext', 'aclrtBinHandle', 'aclrtFuncHandle'})
    #: Below aclrt a handle is a void *, and known by its name.
    RT_HANDLES: Final = {'stm': 'aclrtStream', 'hdl': 'aclrtBinHandle', 'binHandle': 'aclrtBinHandle', 'stubFunc': 'stub'}
    #: Pointers that may be null, or whose absence is no error of this kind.
    MAY_BE_NULL = frozenset({
        ('aclInit', 'configPath'), ('aclrtMallocWithCfg', 'cfg'), ('aclrtMallocHostWithCfg', 'cfg'),
        ('aclrtBinaryLoadFromData', 'options'), ('aclrtBinaryLoadFromFile', 'options'), ('aclrtLaunchKernelV2', 'cfg'),
        ('aclrtLaunchKernelWithHostArgs', 'cfg'), ('aclrtLaunchKernelWithHostArgs', 'placeHolderArray'),
        ('aclrtLaunchCallback', 'userData'), ('aclrtLaunchHostFunc', 'args'),
        ('rtFunctionRegister', 'stubName'), ('rtFunctionRegister', 'kernelInfoExt'),
        *((function, argument) for function in RT_LAUNCHES for argument in ('smDesc', 'kernelInfo', 'cfgInfo')),
        ('aclrtPointerGetAttributes', 'ptr'), ('aclmdlRICaptureGetInfo', 'modelRI'), ('aclrtGetPrimaryCtxState', 'flags'), ('aclrtGetPrimaryCtxState', 'active')})
    #: Nothing is checked: it is noted, logged or ignored, or it says more by its own scenario.
    NOTHING = frozenset({'aclAppLog', 'aclrtCacheLastTaskOpInfo', 'MsprofRegisterCallback', 'MsprofReportAdditionalInfo',
                         'MsprofReportApi', 'MsprofReportCompactInfo'})

    def __init__(self) -> None:
        self.interface = model.load(pathlib.Path('accelpool/remoting/interfaces/acl.yaml'))
        self.buffer = ctypes.create_string_buffer(4096)
        self.function = ctypes.CFUNCTYPE(None, Handle)(lambda _user: None)
        binary, kernel = acl.function('fill')
        context = Handle()
        acl.call('aclrtGetCurrentContext', ctypes.byref(context))
        self.memory = Handle(acl.allocate(4096))
        self.good_handles = {
            'aclrtStream': acl.create('aclrtCreateStream'), 'aclrtEvent': acl.create('aclrtCreateEventExWithFlag', 0x40),
            'aclrtContext': context, 'aclrtBinHandle': binary, 'aclrtFuncHandle': kernel, 'stub': Handle(0x1234)}
        acl.call('rtFunctionRegister', binary, self.good_handles['stub'], b'stub', b'fill', 0)
        self.info = struct.pack('<QQIIIHBBI', ctypes.addressof(self.buffer), 0, 64, 0, 0, 0, 0, 0, 0)  # rtArgsEx_t
        self.freed = {'aclrtStream': acl.create('aclrtCreateStream'), 'aclrtEvent': acl.create('aclrtCreateEvent')}
        acl.call('aclrtDestroyStream', self.freed['aclrtStream'])
        acl.call('aclrtDestroyEvent', self.freed['aclrtEvent'])
        self.cases = 0
        self.taken: list[str] = []

    def handle(self, function: model.Function, argument: model.Argument) -> str | None:
        """Of which kind it is."""
        if argument.ctype in {'void *', 'const void *'} and (function.name, argument.name) != ('rtFunctionRegister', 'stubFunc'):
            return self.RT_HANDLES.get(argument.name)
        return argument.ctype if argument.ctype in self.HANDLES else None

    def good(self, function: model.Function, argument: model.Argument) -> object:
        if kind := self.handle(function, argument):
            return self.good_handles[kind]
        if (function.name, argument.name) in self.MAY_BE_NULL:
            return None
        if argument.ctype == 'struct rt_arguments *':
            return self.info
        if argument.ctype in {'aclrtCallback', 'aclrtHostFunc'}:
            return self.function
        if argument.ctype.endswith('*'):
            return self.memory if argument.name in {'devPtr', 'dst'} and argument.ctype == 'void *' else self.buffer
        return SCALARS.get(argument.ctype, ctypes.c_int)(1)

    def refused(self, function: model.Function, position: int, value: object) -> None:
        values = [self.good(function, argument) for argument in function.args]
        values[position] = value
        code = getattr(acl.library, function.name)(*values)
        if not code:
            self.taken.append(f'{function.name} took {value!r} for {function.args[position].name}')
        self.cases += 1

    def run(self) -> None:
        for function in self.interface.functions:
            if function.generated_client or function.result not in {'', 'int32_t'} or function.name in self.NOTHING or any(
                    argument.ctype == 'aclrtIpcEventHandle' for argument in function.args):
                continue
            for position, argument in enumerate(function.args):
                if wanted := self.handle(function, argument):
                    bad = [*map(Handle, INVENTED), self.freed.get(wanted, Handle(8))]
                    bad += [handle for kind, handle in self.good_handles.items() if kind != wanted]
                    if argument.destroys or wanted == 'stub':
                        bad.append(Handle(None))
                    for value in bad:
                        self.refused(function, position, value)
                elif (argument.ctype.endswith('*') or argument.ctype in {'aclrtCallback', 'aclrtHostFunc'}) and (
                        function.name, argument.name) not in self.MAY_BE_NULL:
                    self.refused(function, position, None)


def bad_input_by_hand() -> None:
    """The same for what is answered in the program or written by hand, and the session goes on."""
    acl.start()
    cases = ByHand()
    cases.run()
    assert not cases.taken, '; '.join(cases.taken)
    assert cases.cases > 400, cases.cases
    acl.call('aclrtSynchronizeDevice')
    memory = acl.allocate(64)
    acl.write(memory, b'y' * 64)
    assert acl.read(memory, 64) == b'y' * 64


#: Every copy by hand, with what it takes behind the kind.
COPIES: Final = {'aclrtMemcpy': (), 'aclrtMemcpyAsync': (None,), 'aclrtMemcpyAsyncWithCondition': (None,), 'rtMemcpyAsync': (None,)}


def bad_addresses() -> None:
    """Freed, foreign and overflowing device addresses, and sizes that are too much, for every call that takes them by hand."""
    acl.start()
    host, size = ctypes.create_string_buffer(4096), Size(4096)
    _before, mine, freed = (acl.allocate(4096) for _ in range(3))
    acl.call('aclrtFree', Handle(freed))
    inside = (freed, mine + 512, mine + 4096, mine - 2048)  # of the session's range, and 4096 bytes there are not one allocation
    foreign = (None, 0x1000, 0x7777_7777_7777, HUGE - 15, ctypes.addressof(host))
    # To, from and kind of copies of this many bytes.
    copies = [(much, *each) for much in (8192, 1 << 40, HUGE, HUGE - mine + 1) for each in (
        (Handle(mine), host, acl.TO_DEVICE), (host, Handle(mine), acl.TO_HOST), (Handle(mine), Handle(mine), acl.WITHIN))]
    copies += [(4096, *each) for bad in map(Handle, (*inside, *foreign)) for each in (
        (bad, host, acl.TO_DEVICE), (host, bad, acl.TO_HOST), (bad, Handle(mine), acl.WITHIN), (Handle(mine), bad, acl.WITHIN))]
    for copy, more in COPIES.items():
        for much, to, source, kind in copies:
            acl.expect(acl.INVALID_PARAM, copy, to, Size(much), source, Size(much), kind, *more)
    key, no_flags = (ctypes.create_string_buffer(65), Size(65)), ctypes.c_uint64(0)
    spans = [(place, size) for place in inside] + [(mine, Size(much)) for much in (8192, HUGE, HUGE - mine + 1)]
    for place, much in spans:
        acl.expect(acl.INVALID_PARAM, 'aclrtMemset', Handle(place), much, 0, much)
    for place, much in spans + [(place, size) for place in foreign]:
        acl.expect(acl.INVALID_PARAM, 'aclrtIpcMemGetExportKey', Handle(place), much, *key, no_flags)
    acl.call('aclrtSynchronizeDevice')
    acl.write(mine, b'y' * 4096)
    assert acl.read(mine, 4096) == b'y' * 4096


def bad_sizes() -> None:
    """Memory and binaries of sizes that cannot be."""
    acl.start()
    address, host = Handle(), ctypes.create_string_buffer(4096)
    for function, more in (('aclrtMalloc', (0,)), ('aclrtMallocAlign32', (0,)), ('aclrtMallocCached', (0,)),
                           ('aclrtMallocWithCfg', (0, None)), ('aclrtMallocHost', ()), ('aclrtMallocHostWithCfg', (None,))):
        for much in (HUGE, HUGE - 31, HUGE - 4095, 1 << 63, 1 << 62):
            acl.expect(acl.NO_MEMORY, function, ctypes.byref(address), Size(much), *more)
        acl.expect(acl.INVALID_PARAM, function, None, Size(64), *more)
        assert address.value is None, function
    for image, length in ((None, 64), (host, 0), (host, HUGE), (host, 1 << 62)):
        binary = struct.pack('<IIQQ', 0, 0, ctypes.addressof(image) if image else 0, length)
        for function in ('rtDevBinaryRegister', 'rtRegisterAllKernel'):
            acl.expect(acl.INVALID_PARAM, function, binary, ctypes.byref(address))
    acl.call('aclrtSynchronizeDevice')


def unanswered() -> None:
    """Says that it is ready; when it is told, the worker has stopped: what needs no answer from it returns all the same."""
    acl.start()
    _binary, add = acl.function('add')
    values = struct.pack('<1024f', *range(1024))
    one, out, size = acl.allocate(4096), acl.allocate(4096), Size(4096)
    acl.call('aclrtSynchronizeDevice')
    print('ready', flush=True)
    sys.stdin.readline()
    stream, event = acl.create('aclrtCreateStream'), acl.create('aclrtCreateEvent')
    acl.call('aclrtMemcpyAsync', Handle(one), size, values, size, acl.TO_DEVICE, stream)
    acl.call('aclrtMemsetAsync', Handle(out), size, 0, size, stream)
    acl.launch(add, arguments([out, one, one], 1024), 3, stream)
    acl.call('aclrtRecordEvent', event, stream)
    acl.call('aclrtStreamWaitEvent', None, event)
    print('done', flush=True)
    acl.call('aclrtSynchronizeEvent', event)
    assert struct.unpack('<1024f', acl.read(out, 4096)) == tuple(2.0 * i for i in range(1024))


def lost() -> None:
    """Says that it is ready, then calls until the worker is gone; the error stays."""
    acl.start()
    acl.allocate(acl.MIB)
    print('ready', flush=True)
    sys.stdin.readline()
    for _ in range(2):
        acl.expect(acl.LOST, 'aclrtSynchronizeDevice')
    address = Handle()
    acl.expect(acl.LOST, 'aclrtMalloc', ctypes.byref(address), Size(acl.MIB), 0)


def host_memory() -> None:
    """Pinned memory is the program's own: copied from and to, found by its address, and gone when it is freed."""
    acl.start()
    size, pinned, device = Size(4096), Handle(), Handle(acl.allocate(4096))
    kinds = struct.Struct('<Ii')  # where: id, aclrtMemLocationType
    attributes = ctypes.create_string_buffer(64)

    def located(address: object) -> tuple[int, ...]:
        acl.call('aclrtPointerGetAttributes', address, attributes)
        return kinds.unpack_from(attributes.raw)

    acl.call('aclrtMallocHost', ctypes.byref(pinned), size)
    assert pinned.value and located(pinned) == (0, 0) and located(device) == (0, 1)
    data = os.urandom(4096)
    ctypes.memmove(pinned, data, 4096)
    stream, back = acl.create('aclrtCreateStream'), ctypes.create_string_buffer(4096)
    acl.call('aclrtMemcpyAsync', device, size, pinned, size, acl.TO_DEVICE, stream)
    acl.call('aclrtMemset', pinned, size, 0, size)
    acl.call('aclrtMemcpyAsync', pinned, size, device, size, acl.TO_HOST, stream)
    acl.call('aclrtSynchronizeStream', stream)
    assert ctypes.string_at(pinned, 4096) == data
    acl.call('aclrtFreeHost', pinned)
    acl.expect(acl.INVALID_PARAM, 'aclrtFreeHost', pinned)
    for much in (HUGE, 1 << 62):
        acl.expect(acl.NO_MEMORY, 'aclrtMallocHost', ctypes.byref(pinned), Size(much))
    assert located(back)[1] == 2  # nobody's
    acl.call('aclrtHostRegisterV2', back, ctypes.c_uint64(4096), 0x10000000)
    assert located(back)[1] == 0
    acl.call('aclrtHostUnregister', back)
    acl.expect(acl.INVALID_PARAM, 'aclrtHostUnregister', back)
    acl.expect(acl.NOT_SUPPORTED, 'aclrtHostRegisterV2', back, ctypes.c_uint64(4096), 2)  # mapped into the device
    acl.expect(acl.NOT_SUPPORTED, 'aclrtHostRegister', back, ctypes.c_uint64(4096), 0, ctypes.byref(pinned))


def errors_told() -> None:
    """What went wrong last, of each thread: its number once, its words once."""
    acl.start()
    acl.library.aclGetRecentErrMsg.restype = ctypes.c_char_p
    assert acl.library.aclrtGetLastError(0) == 0 and acl.library.aclGetRecentErrMsg() is None
    acl.expect(acl.INVALID_PARAM, 'aclrtFree', None)
    assert acl.library.aclrtPeekAtLastError(0) == acl.INVALID_PARAM
    seen: list[int] = []
    other = threading.Thread(target=lambda: seen.append(acl.library.aclrtPeekAtLastError(0)))
    other.start()
    other.join()
    assert seen == [0], seen
    assert acl.library.aclrtGetLastError(0) == acl.INVALID_PARAM and acl.library.aclrtGetLastError(0) == 0
    message = acl.library.aclGetRecentErrMsg()
    assert b'107000' in message and acl.library.aclGetRecentErrMsg() is None, message
    acl.expect(acl.INVALID_PARAM, 'aclrtGetLastError', 1)
    _binary, add = acl.function('add')
    mine = acl.allocate(4096)
    acl.launch(add, arguments([0x1000, mine, mine], 1024), 3)
    acl.expect(acl.AICORE_EXCEPTION, 'aclrtSynchronizeDevice')
    assert acl.library.aclrtGetLastError(0) == acl.AICORE_EXCEPTION
    assert b'507015' in acl.library.aclGetRecentErrMsg()


def forked() -> None:
    """A child does not inherit the session."""
    acl.start()
    child = os.fork()
    if not child:
        os._exit(0 if acl.library.aclrtSynchronizeDevice() == acl.UNINITIALIZE else 1)
    assert os.waitpid(child, 0)[1] == 0
    acl.call('aclrtSynchronizeDevice')


if __name__ == '__main__':
    globals()[sys.argv[1]]()
