# SPDX-License-Identifier: Apache-2.0
"""Programs on AscendCL: ``python -m tests.functional.acl_program SCENARIO``; the exit status says how it went."""

import ctypes
import os
import pathlib
import struct
import sys
from ctypes import c_size_t as Size
from ctypes import c_void_p as Handle

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


def registered() -> None:
    """The layer below: kernels by the address of a host function; a launch without place holders."""
    acl.start()
    runtime, image = ctypes.CDLL('libruntime.so'), acl.NPU_MAGIC + b'fill\n'
    keep, binary, stub = ctypes.create_string_buffer(image), Handle(), Handle(0x1234)
    description = struct.pack('<IIQQ', 0x43554245, 0, ctypes.addressof(keep), len(image))
    assert runtime.rtDevBinaryRegister(description, ctypes.byref(binary)) == 0
    assert runtime.rtFunctionRegister(binary, stub, b'stub', b'mul', 0) == acl.INVALID_PARAM
    assert runtime.rtKernelLaunch(stub, 1, b'x' * 8, 8, None, None) == acl.INVALID_HANDLE
    assert runtime.rtFunctionRegister(binary, stub, b'stub', b'fill', 0) == 0
    assert runtime.rtKernelLaunch(stub, 1, b'x' * 8, 8, Handle(8), None) == acl.NOT_SUPPORTED
    assert runtime.rtKernelLaunch(stub, 1, b'x' * 8, 8, None, None) == 0
    acl.expect(acl.AICORE_EXCEPTION, 'aclrtSynchronizeDevice')  # no tiling data: the emulated kernel says so


def refused() -> None:
    """What is not carried answers 207000, and never 0."""
    acl.start()
    undescribed = model.load(pathlib.Path('accelpool/remoting/interfaces/acl.yaml')).undescribed
    for name, kind in undescribed.items():
        acl.expect(0 if kind == 'value' else acl.NOT_SUPPORTED, name)


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


def callbacks() -> None:
    """A function of the program runs when the stream has come so far, on the thread that waits for reports."""
    acl.start()
    stream, seen = acl.create('aclrtCreateStream'), []
    function = ctypes.CFUNCTYPE(None, Handle)(lambda user: seen.append(user))
    acl.expect(107011, 'aclrtLaunchCallback', function, None, 0, stream)
    acl.call('aclrtSubscribeReport', ctypes.c_uint64(1), stream)
    for value in (5, 6):
        acl.call('aclrtLaunchCallback', function, Handle(value), 0, stream)
    acl.expect(acl.NOT_SUPPORTED, 'aclrtLaunchCallback', function, None, 1, stream)
    acl.call('aclrtProcessReport', 1000)
    acl.call('aclrtProcessReport', 1000)
    acl.expect(100036, 'aclrtProcessReport', 1)
    assert seen == [5, 6], seen
    acl.call('aclrtUnSubscribeReport', ctypes.c_uint64(1), stream)


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
