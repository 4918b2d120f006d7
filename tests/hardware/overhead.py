# SPDX-License-Identifier: Apache-2.0
"""What one idle session takes of a device beside the memory that its slice is charged: ``session_overhead_mib``."""

from collections.abc import Callable, Mapping
from typing import Any

from accelpool.drivers import programs
from accelpool.drivers.nvidia.channel import Channel
from tests.hardware import support

MIB = 1 << 20
#: Bytes that the program allocates, so that a lease is among what is measured.
ALLOCATED = 4 * MIB


def beyond(before: Mapping[str, Any], during: Mapping[str, Any], charged: int,
           program_of: Callable[[int], str] = programs.program) -> dict[str, float | None]:
    """Return MiB beyond the ledger: of the session's worker, and of the device.

    NVML does not tell a process's memory everywhere (not inside a container), the device's it always does.

    :param before: the device's condition before the session
    :param during: its condition while the session is idle
    :param charged: bytes that the slice is charged
    """
    known = {process['pid'] for process in before['processes']}
    workers = [process['memory'] for process in during['processes']
               if process['pid'] not in known and process['memory'] and program_of(process['pid']) == programs.WORKER]
    return {'process_mib': workers[0] - charged / MIB if len(workers) == 1 else None,
            'device_mib': during['memory_used'] - before['memory_used'] - charged / MIB}


def measure(pool: support.Pool, channel: Channel, uuid: str,
            program_of: Callable[[int], str] = programs.program) -> dict[str, float | None]:
    """Open a session, let it rest, and compare NVML with the ledger.

    :param uuid: NVML's, of the only device in the pool
    """
    before = channel.ask('condition', uuid)
    program = pool.start('idle', ALLOCATED, options=('--compute', 50, '--memory', 64))
    try:
        assert program.stdout is not None
        line = program.stdout.readline()
        if not line:
            raise AssertionError(f'the program said nothing: {program.communicate(timeout=60)[1][-2000:]}')
        allocation, = pool.show('allocation', 'list')
        usage, = pool.show('allocation', 'usage', 'list', allocation['id'])
        charged = int(usage['charged_bytes'])
        during = channel.ask('condition', uuid)
    finally:
        program.communicate(timeout=60)  # ends its input, and so the program
    return {'charged_mib': charged / MIB, **beyond(before, during, charged, program_of)}
