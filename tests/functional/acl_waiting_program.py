# SPDX-License-Identifier: Apache-2.0
"""Programs that wait for an NPU: ``python -m tests.functional.acl_waiting_program SCENARIO``; exit status 0: as expected."""

import ctypes
import struct
import sys
import threading
from ctypes import c_void_p as Handle

from tests.functional import acl_api as acl
from tests.functional.acl_arguments import arguments

STREAM_LATE, EVENT_LATE, REPORT_LATE = 507046, 507047, 507012
NOT_SUBSCRIBED, OTHER_THREAD, NO_CALLBACKS = 107011, 107012, 107015
#: Long enough for whatever is waited for and does come.
PATIENCE = 60000
CALLBACK = ctypes.CFUNCTYPE(None, Handle)


def endless(stream: Handle) -> None:
    """Give the stream work for minutes: a vector as long as there are, all on one element."""
    _binary, exp = acl.function('exp')
    one = acl.allocate(64)
    acl.launch(exp, arguments([one, one], 1 << 31, stride=0), 2, stream)


def limits() -> None:
    """A wait with an end ends: with success when the work is done, otherwise with the code of what was waited for."""
    acl.start()
    stream = acl.create('aclrtCreateStream')
    event = acl.create('aclrtCreateEventWithFlag', ctypes.c_uint32(8))
    _binary, add = acl.function('add')
    memory = acl.allocate(4096)
    acl.write(memory, struct.pack('<1024f', *range(1024)))
    acl.launch(add, arguments([memory] * 3, 1024), 3, stream)
    acl.call('aclrtRecordEvent', event, stream)
    acl.call('aclrtSynchronizeEventWithTimeout', event, PATIENCE)
    acl.call('aclrtSynchronizeStreamWithTimeout', stream, PATIENCE)
    acl.call('aclrtSynchronizeDeviceWithTimeout', PATIENCE)
    assert struct.unpack('<1024f', acl.read(memory, 4096)) == tuple(2.0 * i for i in range(1024))
    state = ctypes.c_int(9)
    acl.call('aclrtQueryEvent', event, ctypes.byref(state))
    assert state.value == 0  # complete
    for wait in (0, -1):  # a look, and a wait without an end
        acl.call('aclrtSynchronizeEventWithTimeout', event, wait)
        acl.call('aclrtSynchronizeStreamWithTimeout', stream, wait)
    endless(stream)
    acl.call('aclrtRecordEvent', event, stream)
    for wait in (0, 1):
        acl.expect(EVENT_LATE, 'aclrtSynchronizeEventWithTimeout', event, wait)
        acl.expect(STREAM_LATE, 'aclrtSynchronizeStreamWithTimeout', stream, wait)
        acl.expect(STREAM_LATE, 'aclrtSynchronizeDeviceWithTimeout', wait)
    for function, first in (('aclrtSynchronizeEventWithTimeout', (event,)), ('aclrtSynchronizeStreamWithTimeout', (stream,)),
                            ('aclrtSynchronizeDeviceWithTimeout', ())):
        acl.expect(acl.INVALID_PARAM, function, *first, -2)
    acl.call('aclrtQueryEvent', event, ctypes.byref(state))
    assert state.value == 1  # not ready
    acl.call('aclrtQueryEventStatus', event, ctypes.byref(state))
    assert state.value == 0
    acl.call('aclrtQueryEventWaitStatus', event, ctypes.byref(state))
    assert state.value == 1
    acl.call('aclrtStreamQuery', stream, ctypes.byref(state))
    assert state.value == 1
    passed = ctypes.c_float()
    acl.expect(107006, 'aclrtEventElapsedTime', ctypes.byref(passed), event, event)
    acl.call('aclrtSynchronizeStreamWithTimeout', None, PATIENCE)  # the default stream waits for no other
    acl.call('aclrtDestroyStreamForce', stream)
    acl.expect(acl.INVALID_HANDLE, 'aclrtSynchronizeStreamWithTimeout', stream, 1)


def timing() -> None:
    """Events time what lies between them; one that is not recorded or not done says so."""
    acl.start()
    stream = acl.create('aclrtCreateStream')
    first, last = (acl.create('aclrtCreateEventExWithFlag', 8) for _ in range(2))
    _binary, exp = acl.function('exp')
    memory = acl.allocate(4 << 20)
    passed, times = ctypes.c_float(), [ctypes.c_uint64(), ctypes.c_uint64()]
    acl.expect(507000, 'aclrtEventElapsedTime', ctypes.byref(passed), first, last)
    acl.call('aclrtRecordEvent', first, stream)
    acl.launch(exp, arguments([memory, memory], 1 << 20), 2, stream)
    acl.call('aclrtRecordEvent', last, stream)
    acl.call('aclrtSynchronizeEvent', last)
    acl.call('aclrtEventElapsedTime', ctypes.byref(passed), first, last)
    assert passed.value > 0
    for event, time in zip((first, last), times, strict=True):
        acl.call('aclrtEventGetTimestamp', event, ctypes.byref(time))
    assert abs((times[1].value - times[0].value) / 1000 - passed.value) < 0.01, (times, passed)
    state = ctypes.c_int(9)
    acl.call('aclrtQueryEventWaitStatus', last, ctypes.byref(state))
    assert state.value == 0
    acl.call('aclrtResetEvent', last, stream)
    seen: list[int] = []
    other = threading.Thread(target=lambda: seen.extend(acl.library.aclrtDestroyEvent(last) for _ in range(2)))
    other.start()  # a thread without a context may clear up
    other.join()
    assert seen == [0, acl.INVALID_HANDLE], seen
    for flag in (0, 4, 0x80, 0x48):
        acl.expect(acl.INVALID_PARAM, 'aclrtCreateEventExWithFlag', ctypes.byref(Handle()), flag)
    plain = acl.create('aclrtCreateEvent')
    acl.call('aclrtRecordEvent', plain, stream)
    acl.call('aclrtSynchronizeEvent', plain)
    acl.call('aclrtEventElapsedTime', ctypes.byref(passed), first, plain)


def callbacks() -> None:
    """A function of the program runs when the stream has come so far, on the thread that the stream's reports go to."""
    acl.start()
    context = acl.create('aclrtGetCurrentContext')
    streams = [acl.create('aclrtCreateStream') for _ in range(2)]
    seen: list[tuple[int, int | None]] = []
    function = CALLBACK(lambda user: seen.append((threading.get_ident(), user)))
    acl.expect(NO_CALLBACKS, 'aclrtLaunchCallback', function, None, 0, streams[0])
    acl.expect(OTHER_THREAD, 'aclrtProcessReport', 1)
    for timeout in (0, -2):
        acl.expect(acl.INVALID_PARAM, 'aclrtProcessReport', timeout)
    ready = threading.Event()

    def reports() -> None:
        ready.wait()
        for _ in range(2):
            acl.call('aclrtProcessReport', -1)

    threads = [threading.Thread(target=reports) for _ in streams]
    for thread, stream in zip(threads, streams, strict=True):
        thread.start()
        acl.call('aclrtSubscribeReport', ctypes.c_uint64(thread.ident or 0), stream)
        acl.expect(NOT_SUBSCRIBED, 'aclrtSubscribeReport', ctypes.c_uint64(thread.ident or 0), stream)
    for value in (1, 2):
        for stream in streams:
            acl.call('aclrtLaunchCallback', function, Handle(value), 0, stream)
    acl.expect(acl.NOT_SUPPORTED, 'aclrtLaunchCallback', function, None, 1, streams[0])
    ready.set()
    for thread in threads:
        thread.join()
    assert [[value for ident, value in seen if ident == thread.ident] for thread in threads] == [[1, 2], [1, 2]], seen
    acl.expect(OTHER_THREAD, 'aclrtUnSubscribeReport', ctypes.c_uint64(1), streams[0])
    for thread, stream in zip(threads, streams, strict=True):
        acl.call('aclrtUnSubscribeReport', ctypes.c_uint64(thread.ident or 0), stream)
        acl.expect(NOT_SUBSCRIBED, 'aclrtUnSubscribeReport', ctypes.c_uint64(thread.ident or 0), stream)
    me = ctypes.c_uint64(threading.get_ident())
    acl.call('aclrtSetCurrentContext', context)
    acl.call('aclrtSubscribeReport', me, streams[0])
    acl.expect(REPORT_LATE, 'aclrtProcessReport', 1)
    acl.call('aclrtLaunchCallback', function, Handle(3), 0, streams[0])
    acl.call('aclrtProcessReport', PATIENCE)
    assert seen[-1] == (threading.get_ident(), 3)


def callbacks_late() -> None:
    """A stream that has not come so far has no report yet: it is late, and neither lost nor called."""
    acl.start()
    stream = acl.create('aclrtCreateStream')
    seen: list[int] = []
    function = CALLBACK(seen.append)
    acl.call('aclrtSubscribeReport', ctypes.c_uint64(threading.get_ident()), stream)
    endless(stream)
    acl.call('aclrtLaunchCallback', function, Handle(4), 0, stream)
    for _ in range(2):
        acl.expect(REPORT_LATE, 'aclrtProcessReport', 1)
    assert not seen, seen


def host_functions() -> None:
    """A host function sees what the stream did before it, and what the stream does later sees what the function did."""
    acl.start()
    stream = acl.create('aclrtCreateStream')
    _binary, add = acl.function('add')
    memory, host = acl.allocate(4096), ctypes.create_string_buffer(struct.pack('<1024f', *range(1024)), 4096)
    size = ctypes.c_size_t(4096)
    acl.write(memory, host.raw)
    acl.launch(add, arguments([memory] * 3, 1024), 3, stream)
    acl.call('aclrtMemcpyAsync', host, size, Handle(memory), size, acl.TO_HOST, stream)
    seen: list[tuple[int | None, bytes]] = []

    @CALLBACK
    def function(user: int | None) -> None:
        seen.append((user, host.raw))
        ctypes.memset(host, 0, 4096)

    acl.call('aclrtLaunchHostFunc', stream, function, Handle(7))
    acl.call('aclrtMemcpyAsync', Handle(memory), size, host, size, acl.TO_DEVICE, stream)
    acl.call('aclrtSynchronizeStream', stream)
    assert seen == [(7, struct.pack('<1024f', *(2 * i for i in range(1024))))], seen
    assert acl.read(memory, 4096) == bytes(4096)


if __name__ == '__main__':
    globals()[sys.argv[1]]()
