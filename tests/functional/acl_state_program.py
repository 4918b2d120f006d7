# SPDX-License-Identifier: Apache-2.0
"""Programs about what AscendCL keeps for a process and its threads: ``python -m tests.functional.acl_state_program SCENARIO``."""

import ctypes
import sys
import threading
from collections.abc import Callable
from ctypes import c_size_t as Size
from ctypes import c_void_p as Handle

from tests.functional import acl_api as acl

STREAM_OF_ANOTHER_CONTEXT, NOT_SET = 107003, 507007
REPEATED = 100002


def in_thread(work: Callable[[], None]) -> None:
    """Run it in a thread of its own; what fails there fails here."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except AssertionError as failure:
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def current() -> int | None:
    return acl.create('aclrtGetCurrentContext').value


def contexts() -> None:
    """Which context is current is the thread's affair; streams belong to one; what has ended is an error, everywhere."""
    acl.call('aclInit', None)
    acl.expect(REPEATED, 'aclInit', None)
    first, second = (acl.create('aclrtCreateContext', 0) for _ in range(2))
    assert first.value != second.value == current()

    def other_thread() -> None:
        acl.expect(acl.CONTEXT_NULL, 'aclrtGetCurrentContext', ctypes.byref(Handle()))
        acl.expect(acl.CONTEXT_NULL, 'aclrtCreateStream', ctypes.byref(Handle()))
        acl.call('aclrtSetCurrentContext', first)
        assert current() == first.value

    in_thread(other_thread)
    assert current() == second.value
    device = ctypes.c_int32(9)
    acl.call('aclrtGetDevice', ctypes.byref(device))
    assert device.value == 0
    memory, stream = acl.allocate(4096), acl.create('aclrtCreateStream')
    acl.call('aclrtSetCurrentContext', first)
    event, size = acl.create('aclrtCreateEvent'), Size(4096)
    for function, *values in (('aclrtRecordEvent', event, stream), ('aclrtStreamWaitEvent', stream, event),
                              ('aclrtMemsetAsync', Handle(memory), size, 1, size, stream),
                              ('aclrtMemcpyAsync', Handle(memory), size, bytes(4096), size, acl.TO_DEVICE, stream)):
        acl.expect(STREAM_OF_ANOTHER_CONTEXT, function, *values)
    number, state = ctypes.c_int32(-1), ctypes.c_int(9)
    acl.call('aclrtSynchronizeStream', stream)  # a wait goes to the stream's context by itself
    acl.call('aclrtStreamQuery', stream, ctypes.byref(state))
    acl.call('aclrtStreamGetId', stream, ctypes.byref(number))
    assert state.value == 0 and number.value >= 0, (state, number)
    acl.write(memory, b'x' * 4096)  # memory belongs to the device
    acl.call('aclrtDestroyContext', second)
    acl.expect(acl.INVALID_HANDLE, 'aclrtSynchronizeStream', stream)
    acl.expect(acl.INVALID_HANDLE, 'aclrtRecordEvent', event, stream)
    for function in ('aclrtDestroyContext', 'aclrtSetCurrentContext'):
        acl.expect(acl.CONTEXT_NULL, function, second)
    assert current() == first.value and acl.read(memory, 4096) == b'x' * 4096
    in_thread(lambda: acl.call('aclrtDestroyContext', first))
    acl.expect(acl.CONTEXT_NULL, 'aclrtSynchronizeDevice')  # another thread has ended this one's context
    acl.call('aclrtSetDevice', 0)
    assert acl.read(memory, 4096) == b'x' * 4096
    default = Handle(current())
    acl.expect(acl.CONTEXT_NULL, 'aclrtDestroyContext', default)
    in_thread(lambda: acl.call('aclrtSetCurrentContext', default))


TOLD = ctypes.CFUNCTYPE(None, Handle, ctypes.c_bool)


def stream_states() -> None:
    """Functions of the program are told of each stream: when it is there, and while it still is."""
    told: list[tuple[int | None, bool, int]] = []

    @TOLD
    def listener(stream: int | None, made: bool) -> None:
        told.append((stream, made, acl.library.aclrtSynchronizeStream(Handle(stream))))

    def news() -> list[tuple[int | None, bool, int]]:
        taken = list(told)
        told.clear()
        return taken

    def register(name: bytes | None, function: object, *, error: int = 0) -> None:
        acl.expect(error, 'rtRegStreamStateCallback', name, function)

    register(b'one', listener)
    acl.call('aclInit', None)
    acl.call('aclrtSetDevice', 0)
    stream = acl.create('aclrtCreateStream')
    assert news() == [(stream.value, True, 0)]
    register(b'other', listener)
    configured = acl.create('aclrtCreateStreamWithConfig', 0, 0)
    assert news() == 2 * [(configured.value, True, 0)]
    register(b'one', TOLD(0))
    register(b'one', TOLD(0))  # is gone already
    acl.call('aclrtDestroyStream', stream)
    acl.call('aclrtDestroyStreamForce', configured)
    assert news() == [(stream.value, False, 0), (configured.value, False, 0)]
    for function in ('aclrtDestroyStream', 'aclrtDestroyStreamForce'):
        for bad in (stream, Handle(None), Handle(1)):
            acl.expect(acl.INVALID_HANDLE, function, bad)
    assert not news()

    context = acl.create('aclrtCreateContext', 0)
    streams = [acl.create('aclrtCreateStream').value for _ in range(2)]
    news()
    acl.call('aclrtDestroyContext', context)  # ends its streams, the default one first
    assert [(one, made) for one, made, _ in news()] == [(one, False) for one in (None, *streams)]

    register(None, listener, error=acl.INVALID_PARAM)
    register(b'x' * 128, listener, error=acl.INVALID_PARAM)
    for number in range(64):
        code = acl.library.rtRegStreamStateCallback(str(number).encode(), listener)
        assert code == (0 if number < 31 else 207005), (number, code)


def active() -> int:
    flags, state = ctypes.c_uint32(9), ctypes.c_int32(9)
    acl.call('aclrtGetPrimaryCtxState', 0, ctypes.byref(flags), ctypes.byref(state))
    assert flags.value == 0
    return state.value


def reset() -> None:
    """The last reset ends the default context and its streams, for every thread; then the device is used afresh."""
    acl.call('aclInit', None)
    assert active() == 0
    acl.expect(NOT_SET, 'aclrtResetDevice', 0)
    acl.call('aclrtSetDevice', 0)
    in_thread(lambda: acl.call('aclrtSetDevice', 0))
    stream, memory = acl.create('aclrtCreateStream'), acl.allocate(4096)
    acl.call('aclrtMemsetAsync', Handle(memory), Size(4096), 5, Size(4096), stream)
    in_thread(lambda: acl.call('aclrtResetDevice', 0))
    assert active() == 1
    acl.call('aclrtSynchronizeStream', stream)
    acl.call('aclrtResetDevice', 0)
    assert active() == 0
    acl.expect(acl.CONTEXT_NULL, 'aclrtSynchronizeDevice')
    acl.expect(NOT_SET, 'aclrtResetDeviceForce', 0)
    acl.expect(acl.INVALID_DEVICE, 'aclrtResetDevice', 1)
    acl.call('aclrtSetDevice', 0)
    acl.expect(acl.INVALID_HANDLE, 'aclrtSynchronizeStream', stream)
    assert acl.read(memory, 4096) == b'\5' * 4096  # memory is the program's to free
    acl.call('aclrtFree', Handle(memory))
    acl.call('aclrtSetDevice', 0)
    acl.call('aclrtResetDeviceForce', 0)  # however often it was set
    acl.expect(acl.CONTEXT_NULL, 'aclrtSynchronizeDevice')
    acl.call('aclrtSetDevice', 0)
    fresh = acl.allocate(4096)
    acl.write(fresh, b'y' * 4096)
    assert acl.read(fresh, 4096) == b'y' * 4096


def two_devices() -> None:
    """Streams are waited for from either device and used on their own; memory is copied across; a reset is of one."""
    acl.call('aclInit', None)
    streams, memories = [], []
    for device in range(2):
        acl.call('aclrtSetDevice', device)
        streams.append(acl.create('aclrtCreateStream'))
        memories.append(acl.allocate(4096))
        acl.call('aclrtMemsetAsync', Handle(memories[-1]), Size(4096), 65 + device, Size(4096), streams[-1])
    state, number, event = ctypes.c_int(9), ctypes.c_int32(-1), acl.create('aclrtCreateEvent')
    for stream in streams:
        acl.call('aclrtSynchronizeStreamWithTimeout', stream, 60000)
        acl.call('aclrtStreamQuery', stream, ctypes.byref(state))
        acl.call('aclrtStreamGetId', stream, ctypes.byref(number))
        assert state.value == 0 and number.value >= 0
    acl.expect(STREAM_OF_ANOTHER_CONTEXT, 'aclrtRecordEvent', event, streams[0])
    acl.call('aclrtRecordEvent', event, streams[1])
    assert [acl.read(memory, 4096) for memory in memories] == [b'A' * 4096, b'B' * 4096]
    acl.call('aclrtMemcpy', Handle(memories[1]), Size(4096), Handle(memories[0]), Size(4096), acl.WITHIN)
    acl.call('aclrtResetDevice', 0)
    acl.expect(acl.INVALID_HANDLE, 'aclrtSynchronizeStream', streams[0])
    acl.call('aclrtSynchronizeStream', streams[1])
    assert acl.read(memories[1], 4096) == b'A' * 4096
    acl.expect(NOT_SET, 'aclrtResetDevice', 0)
    acl.call('aclrtResetDevice', 1)


def settings() -> None:
    """Switches and limits are what they were set to."""
    acl.start()
    stream = acl.create('aclrtCreateStream')
    value, wide, real = ctypes.c_uint32(9), ctypes.c_uint64(), ctypes.c_int64(9)
    for flag in (1, 0):
        acl.call('aclrtSetStreamOverflowSwitch', stream, flag)
        acl.call('aclrtGetStreamOverflowSwitch', stream, ctypes.byref(value))
        assert value.value == flag
    acl.call('aclrtSetDeviceSatMode', 1)
    acl.expect(acl.NOT_SUPPORTED, 'aclrtSetDeviceSatMode', 0)  # numbers that saturate
    acl.call('aclrtGetDeviceSatMode', ctypes.byref(value))
    assert value.value == 1
    acl.call('aclrtSetOpExecuteTimeOut', 3)
    acl.call('aclrtGetOpExecuteTimeout', ctypes.byref(value))
    assert value.value == 3000
    acl.call('aclrtSetOpExecuteTimeOutV2', ctypes.c_uint64(5000000), ctypes.byref(wide))
    assert wide.value == 5000000
    acl.call('aclrtSetOpWaitTimeout', 60)
    acl.call('aclrtSetStreamFailureMode', stream, ctypes.c_uint64(1))
    status = acl.allocate(64)
    acl.write(status, b'x' * 64)
    acl.call('aclrtNpuClearFloatOverFlowStatus', 0, stream)
    acl.call('aclrtNpuGetFloatOverFlowStatus', Handle(status), ctypes.c_uint64(64), 0, stream)
    acl.call('aclrtSynchronizeStream', stream)
    assert acl.read(status, 64) == bytes(64)  # nothing has overflowed
    for scope in ('aclrt', 'aclrtCtx'):
        acl.call(f'{scope}SetSysParamOpt', 0, ctypes.c_int64(1))
        acl.call(f'{scope}GetSysParamOpt', 0, ctypes.byref(real))
        assert real.value == 1
    capture = ctypes.c_int(2)
    acl.call('aclmdlRICaptureThreadExchangeMode', ctypes.byref(capture))
    acl.call('aclmdlRICaptureThreadExchangeMode', ctypes.byref(capture))
    assert capture.value == 2
    capturing, model = ctypes.c_int(9), Handle(9)
    acl.call('aclmdlRICaptureGetInfo', stream, ctypes.byref(capturing), ctypes.byref(model))
    assert (capturing.value, model.value) == (0, None)


def queries() -> None:
    """What a program asks about the device and the runtime."""
    acl.start()
    number, count, value = ctypes.c_int32(9), ctypes.c_uint32(), ctypes.c_int64()
    acl.call('aclrtGetRunMode', ctypes.byref(number))
    assert number.value == 1  # on the host
    acl.call('aclrtGetLogicDevIdByUserDevId', 0, ctypes.byref(number))
    assert number.value == 0
    acl.call('aclrtDeviceCanAccessPeer', ctypes.byref(number), 0, 0)
    assert number.value == 0
    default = Handle(9)
    acl.call('aclrtCtxGetCurrentDefaultStream', ctypes.byref(default))
    acl.call('aclrtSynchronizeStream', default)
    uuids = [ctypes.create_string_buffer(16) for _ in range(2)]
    for uuid in uuids:
        acl.call('aclrtDeviceGetUuid', 0, uuid)
    assert uuids[0].raw == uuids[1].raw != bytes(16)
    # 16 AI cores: as many cube units, twice as many vector units.
    for function, *before in (('aclrtGetDeviceResLimit', 0), ('aclrtGetResInCurrentThread',), ('aclrtGetStreamResLimit', None)):
        for kind, expected in enumerate((16, 32)):
            acl.call(function, *before, kind, ctypes.byref(count))
            assert count.value == expected, function
    for kind, wanted in enumerate((16, 32, 192 << 20)):
        acl.call('aclGetDeviceCapability', 0, kind, ctypes.byref(value))
        assert value.value == wanted, kind
    attributes, many = Handle(9), Size(9)
    acl.call('aclGetCannAttributeList', ctypes.byref(attributes), ctypes.byref(many))
    assert (attributes.value, many.value) == (None, 0)
    acl.call('aclGetCannAttribute', 0, ctypes.byref(number))
    assert number.value == 0
    acl.expect(acl.NOT_SUPPORTED, 'aclsysGetCANNVersion', 0, ctypes.create_string_buffer(4096))
    acl.expect(acl.NOT_SUPPORTED, 'aclsysGetVersionStr', b'runtime', ctypes.create_string_buffer(4096))
    acl.call('aclFinalize')
    acl.expect(acl.UNINITIALIZE, 'aclFinalize')
    acl.call('aclInit', None)


def profiling() -> None:
    """Nothing profiles, and what reports to a profiler goes on all the same."""
    acl.start()
    library, task = acl.library, ctypes.c_uint32(9)
    acl.call('aclrtGetThreadLastTaskId', ctypes.byref(task))
    acl.call('aclrtCacheLastTaskOpInfo', b'x', Size(1))
    assert task.value == 0
    for function, *values in (('MsprofRegisterCallback', 1, None), ('MsprofReportApi', 0, b'x'),
                              ('MsprofReportCompactInfo', 0, b'x', 1), ('MsprofReportAdditionalInfo', 0, b'x', 1)):
        acl.call(function, *values)
    for name in ('MsprofSysCycleTime', 'MsprofGetHashId'):
        getattr(library, name).restype = ctypes.c_uint64
    assert library.MsprofSysCycleTime() <= library.MsprofSysCycleTime()
    assert library.MsprofGetHashId(b'a', Size(1)) == 0xaf63dc4c8601ec8c  # FNV-1a of 64 bits, its authors' test vector
    assert library.MsprofGetHashId(b'a', Size(1)) != library.MsprofGetHashId(b'b', Size(1))
    library.aclAppLog.restype = None
    library.aclAppLog(1, b'function', b'file.c', 7, b'%d', 8)


def configured_memory() -> None:
    """Every way to allocate gives memory that is charged, holds what was written, and is free again."""
    acl.start()
    free, total = Size(), Size()
    nobody = (ctypes.c_uint64 * 2)(0, 0)  # aclrtMallocConfig without attributes
    addresses = []
    for function, *settings in (('aclrtMallocWithCfg', nobody), ('aclrtMallocWithCfg', None), ('aclrtMallocAlign32',),
                                ('aclrtMallocCached',)):
        address = acl.create(function, Size(64 * acl.MIB), 0, *settings)
        addresses.append(address)
        assert address.value and address.value % 64 == 0
        acl.write(address.value + 64 * acl.MIB - 8, b'last one')
        assert acl.read(address.value + 64 * acl.MIB - 8, 8) == b'last one'
    acl.call('aclrtGetMemInfo', 1, ctypes.byref(free), ctypes.byref(total))
    assert free.value <= (512 - 4 * 64) * acl.MIB
    for address in addresses:
        acl.call('aclrtFree', address)
    acl.call('aclrtSynchronizeDevice')
    acl.call('aclrtFree', Handle(acl.allocate(400 * acl.MIB)))
    for settings in (nobody, None):
        pinned = acl.create('aclrtMallocHostWithCfg', ctypes.c_uint64(4096), settings)
        ctypes.memset(pinned, 3, 4096)
        memory = acl.allocate(4096)
        acl.call('aclrtMemcpy', Handle(memory), Size(4096), pinned, Size(4096), acl.TO_DEVICE)
        assert acl.read(memory, 4096) == b'\3' * 4096
        acl.call('aclrtFreeHost', pinned)


if __name__ == '__main__':
    globals()[sys.argv[1]]()
