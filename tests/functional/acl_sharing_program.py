# SPDX-License-Identifier: Apache-2.0
"""Processes that share memory and events of one slice: ``python -m tests.functional.acl_sharing_program SCENARIO``."""

import ctypes
import os
import pathlib
import struct
import subprocess
import sys
import time
import zlib
from ctypes import c_size_t as Size
from ctypes import c_void_p as Handle

from tests.functional import acl_api as acl
from tests.functional.acl_arguments import FLOAT, arguments
from tests.functional.acl_program import HUGE, INVENTED


def key_of(address: int, size: int, flags: int = 0) -> bytes:
    key = ctypes.create_string_buffer(65)
    acl.call('aclrtIpcMemGetExportKey', Handle(address), Size(size), key, Size(65), ctypes.c_uint64(flags))
    return key.value


def imported(key: bytes, error: int = 0) -> int:
    address = Handle()
    acl.expect(error, 'aclrtIpcMemImportByKey', ctypes.byref(address), key, ctypes.c_uint64(0))
    return address.value or 0


def shared() -> None:
    """Two processes on one slice write and compute in the same memory; keys are for those whom they are meant for."""
    acl.start()
    data = os.urandom(5 * acl.MIB)
    acl.allocate(3000)  # the others begin in the middle of a granule
    mine, other = acl.allocate(len(data)), acl.allocate(4096)
    acl.write(mine, data)
    acl.write(other, struct.pack('<1024f', *range(1024)))
    first, second = key_of(mine, len(data)), key_of(other, 4096, 1)
    assert acl.read(mine, len(data)) == data and first != second and len(first) == 64
    with subprocess.Popen([sys.executable, '-m', 'tests.functional.acl_sharing_program', 'shared_by'], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        def say(text: str) -> str:
            assert child.stdin and child.stdout
            print(text, file=child.stdin, flush=True)
            return child.stdout.readline().strip()

        tgid = int(say(first.decode()))
        assert say('import') == 'refused'
        named = (ctypes.c_int32 * 2)(1, tgid)
        acl.call('aclrtIpcMemSetImportPid', first, named, Size(2))
        assert say('import') == str(hash_of(data))
        assert acl.read(mine + 7, 4) == b'else' and acl.read(mine, 7) == data[:7]
        acl.write(mine + len(data) - 4, b'over')
        assert say(second.decode()) == 'computed'
        assert struct.unpack('<4f', acl.read(other, 16)) == (0.0, 2.0, 4.0, 6.0)
        for key in (first, second):
            acl.call('aclrtIpcMemClose', key)
            acl.expect(acl.INVALID_PARAM, 'aclrtIpcMemClose', key)
        for address in (mine, other):
            acl.call('aclrtFree', Handle(address))
        assert say('end') == 'kept' and child.wait(30) == 0
    imported(first, acl.INVALID_PARAM)
    again = acl.allocate(len(data))
    acl.write(again, data)
    assert acl.read(again, len(data)) == data


def hash_of(data: bytes) -> int:
    return zlib.crc32(data)


def shared_by() -> None:
    """The other process of ``shared``."""
    acl.start()
    bystander, size = acl.allocate(4096), 5 * acl.MIB
    acl.write(bystander, b'mine' * 1024)
    first = input().encode()
    tgid = ctypes.c_int32()
    acl.call('aclrtDeviceGetBareTgid', ctypes.byref(tgid))
    print(tgid.value, flush=True)
    input()
    imported(first, acl.INVALID_PARAM)
    print('refused', flush=True)
    input()
    place = imported(first)
    assert imported(first) == place  # the same again: closed as often
    found = hash_of(acl.read(place, size))
    acl.write(place + 7, b'else')
    print(found, flush=True)
    second = input().encode()
    assert acl.read(place + size - 4, 4) == b'over' and acl.read(place + 7, 4) == b'else'
    _binary, add = acl.function('add')
    values = imported(second)
    acl.launch(add, arguments([values, values, values], 1024), 3)
    acl.call('aclrtSynchronizeDevice')
    print('computed', flush=True)
    input()
    assert acl.read(place + size - 4, 4) == b'over'  # the other has freed it
    for address in (place, values):
        acl.expect(acl.INVALID_PARAM, 'aclrtFree', Handle(address))
    acl.expect(acl.INVALID_PARAM, 'aclrtMemset', Handle(place), Size(1 << 30), 0, Size(1 << 30))
    for key in (first, first, second):
        acl.call('aclrtIpcMemClose', key)
    acl.expect(acl.INVALID_PARAM, 'aclrtIpcMemClose', first)
    acl.expect(acl.INVALID_PARAM, 'aclrtMemset', Handle(place), Size(16), 0, Size(16))
    assert acl.read(bystander, 4096) == b'mine' * 1024
    print('kept', flush=True)


def shared_bad() -> None:
    """Keys, sizes and addresses that make no sense; memory that is not the process's to share; no room to import."""
    acl.start()
    memory, key, pid = acl.allocate(4096), ctypes.create_string_buffer(65), ctypes.byref(ctypes.c_int32(1))
    for address, size, place, length, flags in (
            (None, 64, key, 65, 0), (memory, 0, key, 65, 0), (memory, 64, None, 65, 0), (memory, 64, key, 64, 0),
            (memory, 64, key, 65, 2), (memory, 8192, key, 65, 0), (memory, HUGE, key, 65, 0), (0x1000, 64, key, 65, 0),
            (memory + 1 * acl.MIB, 64, key, 65, 0), (HUGE, 64, key, 65, 0)):
        acl.expect(acl.INVALID_PARAM, 'aclrtIpcMemGetExportKey', Handle(address), Size(size), place, Size(length),
                   ctypes.c_uint64(flags))
    good, address = key_of(memory, 4096, 1), Handle()
    for bad in (None, b'', b'x' * 63, b'x' * 64, b'x' * 65, good[:-1] + b'g', b'0' * 64):
        acl.expect(acl.INVALID_PARAM, 'aclrtIpcMemImportByKey', ctypes.byref(address), bad, ctypes.c_uint64(0))
        acl.expect(acl.INVALID_PARAM, 'aclrtIpcMemSetImportPid', bad, pid, Size(1))
        acl.expect(acl.INVALID_PARAM, 'aclrtIpcMemClose', bad)
    acl.expect(acl.INVALID_PARAM, 'aclrtIpcMemImportByKey', None, good, ctypes.c_uint64(0))
    acl.expect(acl.INVALID_PARAM, 'aclrtIpcMemImportByKey', ctypes.byref(address), good, ctypes.c_uint64(2))
    for pids, count in ((None, 1), (pid, 0), (pid, HUGE), (pid, 1025)):
        acl.expect(acl.INVALID_PARAM, 'aclrtIpcMemSetImportPid', good, pids, Size(count))
    place = imported(good)  # by the process itself
    acl.write(place, b'seen twice')
    assert acl.read(memory, 10) == b'seen twice'
    acl.expect(acl.INVALID_PARAM, 'aclrtIpcMemGetExportKey', Handle(place), Size(64), key, Size(65), ctypes.c_uint64(0))
    acl.call('aclrtIpcMemClose', good)
    acl.call('aclrtFree', Handle(memory))
    imported(good, acl.INVALID_PARAM)  # what it was is gone
    big = acl.allocate(300 * acl.MIB)
    much = key_of(big, 300 * acl.MIB, 1)
    imported(much, acl.NO_MEMORY)  # a slice of 512 MiB pays for what each process has
    acl.call('aclrtFree', Handle(big))
    acl.write(acl.allocate(400 * acl.MIB), b'still')


def event_handle(event: Handle) -> bytes:
    handle = ctypes.create_string_buffer(64)
    acl.call('aclrtIpcGetEventHandle', event, handle)
    return handle.raw


class EventHandle(ctypes.Structure):
    _fields_ = (('reserved', ctypes.c_char * 64),)


def opened(handle: bytes, error: int = 0) -> Handle:
    event, value = Handle(), EventHandle.from_buffer_copy(handle)
    acl.expect(error, 'aclrtIpcOpenEventHandle', value, ctypes.byref(event))
    return event


def state_of(event: Handle) -> int:
    state = ctypes.c_int(9)
    acl.call('aclrtQueryEventStatus', event, ctypes.byref(state))
    return state.value


def shared_events() -> None:
    """What one process has queued behind another's event runs when that has come so far, and not before."""
    acl.start()
    bystander, event = acl.create('aclrtCreateEvent'), acl.create('aclrtCreateEventExWithFlag', 0x40)
    handle = ctypes.create_string_buffer(64)
    for value in (None, *INVENTED):
        acl.expect(acl.INVALID_HANDLE, 'aclrtIpcGetEventHandle', Handle(value), handle)
    acl.expect(acl.INVALID_PARAM, 'aclrtIpcGetEventHandle', event, None)
    acl.expect(acl.INVALID_PARAM, 'aclrtIpcGetEventHandle', bystander, handle)  # made for this process only
    size = 1 << 20
    source, target = acl.allocate(4 * size), acl.allocate(4 * size)
    acl.write(source, struct.pack('<f', 1.0) * size)
    _binary, exp = acl.function('exp')
    stream = acl.create('aclrtCreateStream')
    with subprocess.Popen([sys.executable, '-m', 'tests.functional.acl_sharing_program', 'shared_events_by'], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin and child.stdout
        keys = (event_handle(event).decode(), key_of(target, 4 * size, 1).decode())
        for _ in range(40):  # some time's work
            acl.launch(exp, arguments([target, source], size), 2, stream)
        acl.call('aclrtRecordEvent', event, stream)
        print(*keys, file=child.stdin, flush=True)
        assert child.stdout.readline() == 'waited\n'
        acl.call('aclrtRecordEvent', event, stream)  # once more, with nothing before it
        print('again', file=child.stdin, flush=True)
        assert child.stdout.readline() == 'seen\n' and not child.stdin.close() and child.wait(30) == 0
    acl.call('aclrtDestroyEvent', event)
    opened(b'x' * 64, acl.INVALID_PARAM)
    opened(keys[1].encode(), acl.INVALID_PARAM)  # a key of memory


def shared_events_by() -> None:
    """The other process of ``shared_events``."""
    acl.start()
    name, key = input().encode().split()
    event, stream, place = opened(name), acl.create('aclrtCreateStream'), imported(key)
    imported(name, acl.INVALID_PARAM)  # an event, no memory
    _binary, add = acl.function('add')
    result, size = acl.allocate(4096), 1 << 20
    acl.expect(acl.NOT_SUPPORTED, 'aclrtRecordEvent', event, stream)
    acl.call('aclrtStreamWaitEvent', stream, event)
    last = place + 4 * (size - 1024)
    acl.launch(add, arguments([result, last, last], 1024), 3, stream)
    acl.call('aclrtSynchronizeStream', stream)
    assert state_of(event) == 1
    assert all(abs(value - 2 * 2.7182817) < 1e-5 for value in struct.unpack('<1024f', acl.read(result, 4096)))
    print('waited', flush=True)
    input()
    acl.call('aclrtSynchronizeEvent', event)
    assert state_of(event) == 1
    acl.call('aclrtDestroyEvent', event)
    print('seen', flush=True)


def shared_lost() -> None:
    """Whoever waits for an event of a process that is killed waits no longer; its memory stays as it was."""
    acl.start()
    with subprocess.Popen([sys.executable, '-m', 'tests.functional.acl_sharing_program', 'shared_lost_by'], text=True,
                          stdout=subprocess.PIPE) as child:
        assert child.stdout
        name, key = child.stdout.readline().encode().split()
        event, place = opened(name), imported(key)
        stream = acl.create('aclrtCreateStream')
        acl.call('aclrtStreamWaitEvent', stream, event)
        state = ctypes.c_int(9)
        acl.call('aclrtStreamQuery', stream, ctypes.byref(state))
        assert state.value == 1  # waiting
        child.kill()
        acl.call('aclrtSynchronizeStream', stream)
    assert acl.read(place, 5) == b'given'
    acl.write(place, b'taken')


def shared_lost_by() -> None:
    """The process of ``shared_lost`` that is killed."""
    acl.start()
    event, place = acl.create('aclrtCreateEventExWithFlag', 0x40), acl.allocate(4096)
    acl.write(place, b'given')
    _binary, matrix = acl.function('matmul')
    side = 1500
    one = acl.allocate(4 * side * side)
    shape = struct.pack('<ii', FLOAT, 2) + struct.pack('<8q8qq', side, side, *[0] * 6, side, 1, *[0] * 6, 0)
    tiling = struct.pack('<II4d12q', 3, 0, *[0.0] * 4, *[0] * 12)
    for _ in range(200):  # for minutes
        acl.launch(matrix, struct.pack('<4Q', one, one, one, 0) + tiling + shape * 3, 3)
    acl.call('aclrtRecordEvent', event, None)
    print(event_handle(event).decode(), key_of(place, 4096, 1).decode(), flush=True)
    acl.call('aclrtSynchronizeDevice')


def until(path: str) -> str:
    """What a file says that another process makes in one go."""
    while not os.path.exists(path):
        time.sleep(0.05)
    return pathlib.Path(path).read_text()


def tell(path: str, text: str) -> None:
    pathlib.Path(path + '.new').write_text(text)
    os.rename(path + '.new', path)


def offers() -> None:
    """Shares with every process of its slice, and waits until the other one has tried."""
    acl.start()
    event = acl.create('aclrtCreateEventExWithFlag', 0x40)
    tell(os.environ['KEYS'], f'{key_of(acl.allocate(4096), 4096, 1).decode()} {event_handle(event).decode()}')
    assert until(os.environ['DONE']) == 'refused'


def wants() -> None:
    """Is on another slice of the same device: those keys say nothing here."""
    acl.start()
    key, event = until(os.environ['KEYS']).encode().split()
    imported(key, acl.INVALID_PARAM)
    opened(event, acl.INVALID_PARAM)
    pid = ctypes.c_int32(os.getpid())
    acl.expect(acl.INVALID_PARAM, 'aclrtIpcMemSetImportPid', key, ctypes.byref(pid), Size(1))
    acl.expect(acl.INVALID_PARAM, 'aclrtIpcMemClose', key)
    tell(os.environ['DONE'], 'refused')


if __name__ == '__main__':
    globals()[sys.argv[1]]()
