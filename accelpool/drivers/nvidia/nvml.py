# SPDX-License-Identifier: Apache-2.0
"""The only part that calls NVML: a process of its own, asked over a pipe, one JSON line for each call.

An NVML call that hangs hangs here; :mod:`~accelpool.drivers.nvidia.channel` ends this process and starts another.
It is run by its path, not imported, and imports nothing of accelpool, so that it stays small.  Answers are
``{"result": ...}`` or ``{"code": NVML's error number, "error": text}``.
"""

import ctypes
import functools
import json
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pynvml

#: NVML's nvmlEventType...: double-bit ECC errors and XIDs.
EVENTS = {'ecc': 2, 'xid': 8}
#: NVML's clocks event reasons that mean trouble.
THROTTLE = {
    'power-cap': 0x4, 'hardware': 0x8, 'thermal-software': 0x20, 'thermal-hardware': 0x40, 'power-brake': 0x80}
#: NVML_FI_DEV_GET_GPU_RECOVERY_ACTION
RECOVERY_ACTION = 230
#: NVML answers this instead of the number of an instance, or of a profile, when there is none.
NO_INSTANCE = 0xffffffff
MIB = 1 << 20
#: The number of an error that is not NVML's.
NOT_OF_NVML = -1
#: Answers that only say that a device or a driver lacks something.
LACKING = {pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND, pynvml.NVML_ERROR_NO_PERMISSION,
           pynvml.NVML_ERROR_NOT_FOUND, pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH, pynvml.NVML_ERROR_DEPRECATED,
           pynvml.NVML_ERROR_INVALID_ARGUMENT, pynvml.NVML_ERROR_NO_DATA}

#: Answers that say that nothing can be asked of a device.
UNUSABLE = {pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED}

#: Answers to who asks an instance that somebody has taken apart.
GONE = {pynvml.NVML_ERROR_NOT_FOUND, pynvml.NVML_ERROR_INVALID_ARGUMENT}

#: Seconds in which one GPU at least is initialised while others are: the driver takes up to four for each.
PATIENCE = 6.0

_events: Any = None
_addresses: Sequence[str] | None = None  # of the GPUs that may be opened; None: all
_handles: dict[str, Any] = {}  # UUID -> handle
_watched: dict[int, str] = {}  # handle -> UUID
_asked: dict[int | str, threading.Thread] = {}  # what it is asked of -> who waits for the answer
#: Who waits for the first handles of GPUs, and until when that is well.
_initialising: tuple[Sequence[threading.Thread], float] = ((), 0.0)


def optional(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Return the answer, None when the device or the driver lacks it."""
    try:
        return text(function(*arguments, **named))
    except pynvml.NVMLError as error:
        if error.value in LACKING:
            return None
        raise


def sensor(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a sensor tells, None when it does not now: that alone makes no device sick, unless it is lost."""
    try:
        return optional(function, *arguments)
    except pynvml.NVMLError as error:
        if error.value in UNUSABLE:
            raise
        return None


def unless_gone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the answer, None when what is asked is not there any more."""
    try:
        return function(*arguments)
    except pynvml.NVMLError as error:
        if error.value in GONE:
            return None
        raise


def first(functions: Sequence[Callable[..., Any]], *arguments: Any) -> Any:
    """Return the answer of the first function that the driver has; None when it has none of them."""
    return next((answer for function in functions if (answer := optional(function, *arguments)) is not None), None)


def text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def at_once(questions: Mapping[Any, Callable[[], Any]], seconds: float, *,
            altogether: float | None = None) -> dict[Any, Any]:
    """Ask things at the same time and return the answers, ``{'result': ...}`` or ``{'code': ..., 'error': text}``.

    What does not answer within some seconds is left out.  Its thread waits on: until that has its answer the same is
    neither asked nor waited for again.

    :param questions: by what they are asked of: a GPU's index, UUID or PCI address
    :param altogether: wait so long for the first answer, and ``seconds`` for each further one, within the same time
    """
    found: queue.SimpleQueue[tuple[Any, dict[str, Any]]] = queue.SimpleQueue()

    def ask(key: Any, question: Callable[[], Any]) -> None:
        try:
            found.put((key, {'result': question()}))
        except pynvml.NVMLError as error:
            found.put((key, {'code': error.value, 'error': str(error)}))
        except Exception as error:  # whoever does not answer is taken for one that hangs
            found.put((key, {'code': NOT_OF_NVML, 'error': f'{type(error).__name__}: {error}'}))

    free = [key for key in questions if key not in _asked or not _asked[key].is_alive()]
    last = time.monotonic() + (seconds if altogether is None else altogether)
    until = last
    for key in free:
        _asked[key] = threading.Thread(target=ask, args=(key, questions[key]), daemon=True)
        _asked[key].start()
    answers: dict[Any, Any] = {}
    while len(answers) < len(free):
        try:
            key, answer = found.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            break
        answers[key] = answer
        until = min(last, time.monotonic() + seconds)
    return answers


def open_(addresses: Sequence[str] | None, seconds: float) -> None:
    """Open the library, once in a process: a driver that was reloaded, or a GPU that came back, is only seen then.

    The first handle of a GPU may initialise it, which takes time; one that hangs is not waited for when others do not.
    It also opens the GPU until the process ends (NVML, "Initialization and Cleanup"), and what is open can neither be
    reset nor be detached from the driver.

    :param addresses: PCI addresses of the GPUs that this process may open; None: all
    :param seconds: that this may take; what is not initialised by then may take as long again before it is said to hang
    """
    global _addresses, _events, _initialising  # noqa: PLW0603
    _addresses = addresses
    pynvml.nvmlInitWithFlags(pynvml.NVML_INIT_FLAG_NO_GPUS)  # instances may have all of them
    _events = pynvml.nvmlEventSetCreate()
    at_once(_each(attach), min(PATIENCE, seconds / 2), altogether=0.8 * seconds)
    _initialising = [thread for thread in _asked.values() if thread.is_alive()], time.monotonic() + seconds


def attach(key: int | str) -> str:
    """Return the UUID of a GPU; its handle is kept, since NVML may ask all GPUs for a handle by UUID."""
    handle = _handle(key)
    uuid: str = text(pynvml.nvmlDeviceGetUUID(handle))
    _handles[uuid] = handle
    return uuid


def host(seconds: float) -> dict[str, Any]:
    """Return versions, and of each device its index or PCI address with its UUID, the number of the error, or None: it
    does not answer.

    ``initialising``: the driver may still be making one ready for the first time, which begins anew with a new process.
    """
    questions = _each(attach)
    answers = at_once(questions, seconds)
    found = [(key, answers.get(key, {'result': None})) for key in questions]
    waiting, until = _initialising
    return {'initialising': time.monotonic() < until and any(thread.is_alive() for thread in waiting),
            'driver': text(pynvml.nvmlSystemGetDriverVersion()), 'nvml': text(pynvml.nvmlSystemGetNVMLVersion()),
            'cuda': pynvml.nvmlSystemGetCudaDriverVersion(),
            'devices': [(key, one['code'] if 'code' in one else one['result']) for key, one in found]}


def probes(bus_ids: Sequence[str], seconds: float) -> dict[str, Any]:
    """Return the UUIDs of the devices at PCI addresses, as :func:`at_once` does."""
    def probe(bus_id: str) -> Any:
        return text(pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByPciBusId(bus_id)))
    return at_once({bus_id: functools.partial(probe, bus_id) for bus_id in bus_ids}, seconds)


def identity(uuid: str) -> dict[str, Any]:
    """Return what does not change of a device while the driver runs."""
    device = _device(uuid)
    pci = pynvml.nvmlDeviceGetPciInfo(device)
    profiles = _profiles(device)
    return {
        'uuid': uuid, 'name': text(pynvml.nvmlDeviceGetName(device)),
        'serial': optional(pynvml.nvmlDeviceGetSerial, device), 'bus_id': text(pci.busId),
        'index': pynvml.nvmlDeviceGetIndex(device), 'minor': optional(pynvml.nvmlDeviceGetMinorNumber, device),
        'architecture': optional(pynvml.nvmlDeviceGetArchitecture, device),
        'compute_capability': '{}.{}'.format(*pynvml.nvmlDeviceGetCudaComputeCapability(device)),
        'cores': optional(pynvml.nvmlDeviceGetNumGpuCores, device),
        'memory': _sold(device) // MIB,
        'numa_node': _node(optional(pynvml.nvmlDeviceGetMemoryAffinity, device, 16, pynvml.NVML_AFFINITY_SCOPE_NODE)),
        'cpus': _cpus(optional(pynvml.nvmlDeviceGetCpuAffinity, device, 16)),
        'power_limit_watts': _thousandth(sensor(pynvml.nvmlDeviceGetEnforcedPowerLimit, device)),
        'clock_max': sensor(pynvml.nvmlDeviceGetMaxClockInfo, device, pynvml.NVML_CLOCK_SM),
        'memory_clock_max': sensor(pynvml.nvmlDeviceGetMaxClockInfo, device, pynvml.NVML_CLOCK_MEM),
        'virtualization': optional(pynvml.nvmlDeviceGetVirtualizationMode, device),
        'vgpus': _vgpus(device, {one['id']: one['name'] for one in profiles}), 'links': _links(device),
        'profiles': profiles,
    }


def condition(uuid: str) -> dict[str, Any]:
    """Return what changes: sensors, counters, modes, processes, MIG instances."""
    device = _device(uuid)
    memory = _memory(device)
    throttle = sensor(first, (pynvml.nvmlDeviceGetCurrentClocksEventReasons,
                              pynvml.nvmlDeviceGetCurrentClocksThrottleReasons), device) or 0
    utilization = sensor(pynvml.nvmlDeviceGetUtilizationRates, device)
    remapped = optional(pynvml.nvmlDeviceGetRemappedRows, device)
    mig = optional(pynvml.nvmlDeviceGetMigMode, device)
    return {
        'memory_used': memory.used // MIB, 'memory_free': memory.free // MIB,
        'temperature': sensor(pynvml.nvmlDeviceGetTemperature, device, pynvml.NVML_TEMPERATURE_GPU),
        'power_watts': _thousandth(sensor(pynvml.nvmlDeviceGetPowerUsage, device)),
        'clock': sensor(pynvml.nvmlDeviceGetClockInfo, device, pynvml.NVML_CLOCK_SM),
        'memory_clock': sensor(pynvml.nvmlDeviceGetClockInfo, device, pynvml.NVML_CLOCK_MEM),
        'utilization': utilization and utilization.gpu,
        'memory_utilization': utilization and utilization.memory,
        'throttle': [name for name, bit in THROTTLE.items() if throttle & bit],
        'energy': sensor(pynvml.nvmlDeviceGetTotalEnergyConsumption, device),
        'recovery': _field(device, RECOVERY_ACTION),
        'ecc': (optional(pynvml.nvmlDeviceGetEccMode, device) or [None])[0],
        'ecc_corrected': _ecc(device, pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED),
        'ecc_uncorrected': _ecc(device, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED),
        'remap_failure': bool(remapped and remapped[3]), 'remap_pending': bool(remapped and remapped[2]),
        'persistence': sensor(pynvml.nvmlDeviceGetPersistenceMode, device),
        'compute_mode': sensor(pynvml.nvmlDeviceGetComputeMode, device),
        'mig': mig and mig[0], 'mig_pending': mig and mig[1],
        'processes': _processes(device), 'instances': _instances(device) if mig and mig[0] else [],
    }


def instances(uuid: str) -> list[dict[str, Any]]:
    """Return the MIG instances with the UUIDs of their compute instances, by which programs name these.

    Only a MIG device tells its UUID (NVML says of ``nvmlComputeInstanceInfo_t.device``: "Parent device").  None: NVML
    does not list it to this process, which it may not do with one that another process has made since this one began.
    """
    device = _device(uuid)
    found = _instances(device)
    uuids = _mig_uuids(device) if any(one['computes'] for one in found) else {}
    for one in found:
        for compute in one['computes']:
            compute['uuid'] = uuids.get((one['id'], compute['id']))
    return found


def looks(wanted: dict[str, bool], seconds: float) -> dict[str, Any]:
    """Look at devices, as :func:`at_once` does.

    :param wanted: UUID -> whether its identity is asked for, too
    """
    def look(uuid: str, anew: bool) -> dict[str, Any]:
        return {'identity': identity(uuid) if anew else None, 'condition': condition(uuid)}
    return at_once({uuid: functools.partial(look, uuid, anew) for uuid, anew in wanted.items()}, seconds)


def events(seconds: float) -> dict[str, Any]:
    """Return what happened since the last call, ``events``; devices are watched from their first call on.

    ``deaf``: why no more can be heard of this set, None: it can.  A GPU that is lost makes every further question fail
    at once, whatever happens to the others.

    Those that are not watched yet are asked for some seconds at most: one may hang, and the others are to be heard of.
    """
    unheard = _each(watch)
    if len(unheard) > len(_watched):
        at_once(unheard, seconds)  # of a sick one, what it says of itself is enough
    found: list[dict[str, Any]] = []
    while True:
        try:
            event = pynvml.nvmlEventSetWait_v2(_events, 0)
        except pynvml.NVMLError as error:
            return {'events': found, 'deaf': None if error.value == pynvml.NVML_ERROR_TIMEOUT else str(error)}
        kind = next((name for name, bit in EVENTS.items() if event.eventType == bit), None)
        if kind is not None:
            try:
                uuid = _watched.get(_address(event.device)) or text(pynvml.nvmlDeviceGetUUID(event.device))
            except pynvml.NVMLError:  # it fell off the bus: that is seen anyway
                continue
            found.append({'uuid': uuid, 'kind': kind, 'data': event.eventData,
                          'instance': None if event.gpuInstanceId == NO_INSTANCE else event.gpuInstanceId})


def watch(key: int | str) -> None:
    """Have a device's events told."""
    device = _handle(key)
    if _address(device) not in _watched:
        uuid = text(pynvml.nvmlDeviceGetUUID(device))
        supported = pynvml.nvmlDeviceGetSupportedEventTypes(device)
        pynvml.nvmlDeviceRegisterEvents(device, sum(EVENTS.values()) & supported, _events)
        _watched[_address(device)] = uuid


def create_instance(uuid: str, profile: int, start: int, size: int, length: int | None, offset: int) -> dict[str, Any]:
    """Make a compute instance, in a GPU instance at a place; that is made, too, if it is not there.  All or nothing.

    :param length: compute slices of the compute instance, which begins at ``offset``; 0: it fills the GPU instance;
        None: the GPU instance alone
    """
    device = _device(uuid)
    there = next((one for one in _instances(device) if (one['start'], one['number']) == (start, profile)), None)
    if there is None:
        placement = pynvml.c_nvmlGpuInstancePlacement_t(start, size)
        instance = pynvml.nvmlDeviceCreateGpuInstanceWithPlacement(device, profile, ctypes.byref(placement))
    else:
        instance = pynvml.nvmlDeviceGetGpuInstanceById(device, there['id'])
    try:
        compute = None if length is None else _create_compute(instance, length, offset)
        made = next((one for one in instances(uuid) if one['start'] == start
                     and (compute is None or one['computes'])), None)
        if made is None:
            if compute is not None:
                pynvml.nvmlComputeInstanceDestroy(compute)
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
    except pynvml.NVMLError:
        if there is None:
            pynvml.nvmlGpuInstanceDestroy(instance)
        raise
    return made


def destroy_instance(uuid: str, instance: int, computes: Sequence[int], alone: bool) -> None:
    """Take compute instances of a GPU instance apart, and that, too, if nobody else shares it."""
    found = pynvml.nvmlDeviceGetGpuInstanceById(_device(uuid), instance)
    for compute in computes:
        pynvml.nvmlComputeInstanceDestroy(pynvml.nvmlGpuInstanceGetComputeInstanceById(found, compute))
    if alone:
        pynvml.nvmlGpuInstanceDestroy(found)


def _each(question: Callable[[Any], Any]) -> dict[Any, Callable[[], Any]]:
    """Return a question for every GPU that may be opened: by its index, by its PCI address where not all may be."""
    keys: Sequence[int | str] = range(pynvml.nvmlDeviceGetCount()) if _addresses is None else _addresses
    return {key: functools.partial(question, key) for key in keys}


def _handle(key: int | str) -> Any:
    return pynvml.nvmlDeviceGetHandleByIndex(key) if isinstance(key, int) else \
        pynvml.nvmlDeviceGetHandleByPciBusId(key)


def _device(uuid: str) -> Any:
    """Return a GPU's handle; NVML may open every GPU in search of a UUID."""
    if uuid not in _handles and _addresses is not None:
        answers = at_once(_each(attach), PATIENCE)
        if uuid not in _handles:
            raise pynvml.NVMLError(next((one['code'] for one in answers.values() if 'code' in one),
                                        pynvml.NVML_ERROR_NOT_FOUND))
    return _handles.get(uuid) or pynvml.nvmlDeviceGetHandleByUUID(uuid)


def _address(device: Any) -> int:
    return ctypes.cast(device, ctypes.c_void_p).value or 0


def _thousandth(value: int | None) -> float | None:
    return None if value is None else value / 1000


def _node(words: Any) -> int | None:
    """Return the host's NUMA node that a device is near to; None when the host does not tell, or none is nearest.

    NVML has a function of that name, too: it tells the node that a GPU itself is, where GPUs are nodes.
    """
    nodes = _numbers(words)
    return nodes[0] if len(nodes) == 1 else None


def _numbers(words: Any) -> list[int]:
    """Return what is in a set; words are NVML's 64-bit masks."""
    return [word * 64 + bit for word, mask in enumerate(words or ()) for bit in range(64) if mask >> bit & 1]


def _cpus(words: Any) -> str | None:
    """Return a CPU set as ``0-15,32``."""
    if words is None:
        return None
    numbers = _numbers(words)
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ','.join(f'{first}-{last}' if first != last else f'{first}' for first, last in ranges)


def _memory(device: Any) -> Any:
    """Return total, free and used memory of a device; drivers before 510 count as used what they reserve."""
    return optional(pynvml.nvmlDeviceGetMemoryInfo, device, version=pynvml.nvmlMemory_v2) \
        or pynvml.nvmlDeviceGetMemoryInfo(device)


def _sold(device: Any) -> int:
    """Return the bytes of a device that slices can have: without what the driver reserves for itself.

    MIG instances and vGPUs are sold as NVML tells their sizes, and these go up to the total.
    """
    memory, mig = _memory(device), optional(pynvml.nvmlDeviceGetMigMode, device)
    whole = bool(mig and mig[0]) or optional(pynvml.nvmlDeviceGetVirtualizationMode, device) == \
        pynvml.NVML_GPU_VIRTUALIZATION_MODE_HOST_VGPU
    total: int = memory.total
    return total if whole else total - getattr(memory, 'reserved', 0)


def _field(device: Any, number: int) -> int | None:
    values = optional(pynvml.nvmlDeviceGetFieldValues, device, [number])
    return values[0].value.uiVal if values is not None and values[0].nvmlReturn == pynvml.NVML_SUCCESS else None


def _ecc(device: Any, kind: int) -> int | None:
    found: int | None = optional(pynvml.nvmlDeviceGetTotalEccErrors, device, kind, pynvml.NVML_VOLATILE_ECC)
    return found


def _vgpus(device: Any, profiles: Mapping[int, str]) -> list[dict[str, Any]]:
    """Return the vGPU types; one that the device cannot have as it is now is left out.

    :param profiles: names of the GPU instance profiles by their numbers
    """
    return [one for kind in optional(pynvml.nvmlDeviceGetSupportedVgpus, device) or []
            if (one := optional(_vgpu, device, kind, profiles)) is not None]


def _vgpu(device: Any, kind: int, profiles: Mapping[int, str]) -> dict[str, Any]:
    """Return a vGPU type; ``profile``: of the GPU instances that back one, None: it needs none."""
    number = optional(pynvml.nvmlVgpuTypeGetGpuInstanceProfileId, kind)
    return {'id': kind, 'name': text(pynvml.nvmlVgpuTypeGetName(kind)),
            'memory': pynvml.nvmlVgpuTypeGetFramebufferSize(kind) // MIB,
            'most': pynvml.nvmlVgpuTypeGetMaxInstances(device, kind),
            'profile': None if number in (None, NO_INSTANCE) else profiles.get(number, str(number))}


def _links(device: Any) -> list[dict[str, Any]]:
    """Return the active NVLinks: to a switch, or to the device at a PCI address."""
    found = []
    for link in range(pynvml.NVML_NVLINK_MAX_LINKS):
        if optional(pynvml.nvmlDeviceGetNvLinkState, device, link):
            kind = optional(pynvml.nvmlDeviceGetNvLinkRemoteDeviceType, device, link)
            remote = optional(pynvml.nvmlDeviceGetNvLinkRemotePciInfo, device, link)
            found.append({'switch': kind == pynvml.NVML_NVLINK_DEVICE_TYPE_SWITCH,
                          'remote': remote and text(remote.busId)})
    return found


def _processes(device: Any) -> list[dict[str, Any]]:
    """Return the processes with a context, each once; ``mps``: clients of an MPS server."""
    found: dict[tuple[int, int | None], dict[str, Any]] = {}
    # Version 2 tells the same as 3, which drivers before 510 lack, and those before 535.98 have in another layout.
    for mps, functions in (
            (False, (pynvml.nvmlDeviceGetComputeRunningProcesses_v2, pynvml.nvmlDeviceGetComputeRunningProcesses_v3)),
            (False, (pynvml.nvmlDeviceGetGraphicsRunningProcesses_v2, pynvml.nvmlDeviceGetGraphicsRunningProcesses_v3)),
            (True, (pynvml.nvmlDeviceGetMPSComputeRunningProcesses_v2,
                    pynvml.nvmlDeviceGetMPSComputeRunningProcesses_v3))):
        for process in first(functions, device) or []:
            instance = None if process.gpuInstanceId in (NO_INSTANCE, None) else process.gpuInstanceId
            one = found.setdefault((process.pid, instance), {
                'pid': process.pid, 'memory': (process.usedGpuMemory or 0) // MIB, 'mps': mps, 'instance': instance})
            one['mps'] |= mps  # nvidia-smi's type M+C
    return list(found.values())


def _profiles(device: Any) -> list[dict[str, Any]]:
    """Return the GPU instance profiles with their placements, in memory slices; what has none here is left out."""
    found = []
    for number in range(pynvml.NVML_GPU_INSTANCE_PROFILE_COUNT):
        info = optional(pynvml.nvmlDeviceGetGpuInstanceProfileInfo, device, number)
        if info is None:
            continue
        places = optional(_places, device, info.id)
        if places:
            found.append({'id': info.id, 'name': text(info.name).removeprefix('MIG '), 'slices': info.sliceCount,
                          'count': info.instanceCount, 'sms': info.multiprocessorCount, 'memory': info.memorySizeMB,
                          'size': places[0].size, 'starts': sorted(place.start for place in places)})
    return found


def _places(device: Any, profile: int) -> list[Any]:
    """Return where the instances of a profile may be."""
    count = ctypes.c_uint(0)
    pynvml.nvmlDeviceGetGpuInstancePossiblePlacements(device, profile, None, ctypes.byref(count))
    places = (pynvml.c_nvmlGpuInstancePlacement_t * count.value)()
    pynvml.nvmlDeviceGetGpuInstancePossiblePlacements(device, profile, places, ctypes.byref(count))
    return list(places[:count.value])


def _create_compute(instance: Any, length: int, offset: int) -> Any:
    profiles = [found for number in range(pynvml.NVML_COMPUTE_INSTANCE_PROFILE_COUNT)
                if (found := optional(pynvml.nvmlGpuInstanceGetComputeInstanceProfileInfo, instance, number,
                                      pynvml.NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_SHARED)) is not None]
    if not length:  # 1g.20gb of Hopper has two of one slice, and only the one with more multiprocessors fills it
        largest = max(profiles, key=lambda one: (one.sliceCount, one.multiprocessorCount))
        return pynvml.nvmlGpuInstanceCreateComputeInstance(instance, largest.id)
    fitting = [one for one in profiles if one.sliceCount == length]
    if not fitting:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    place = pynvml.c_nvmlComputeInstancePlacement_t(offset, length)
    return pynvml.nvmlGpuInstanceCreateComputeInstanceWithPlacement(instance, fitting[0].id, ctypes.byref(place))


def _instances(device: Any) -> list[dict[str, Any]]:
    """Return the GPU instances that exist, each with the places of its compute instances.

    What somebody takes apart meanwhile is left out.  No MIG device is asked for: a process knows those of its
    beginning, and what it has of them open keeps others from taking their instances apart.
    """
    found = []
    for number in range(pynvml.NVML_GPU_INSTANCE_PROFILE_COUNT):
        info = optional(pynvml.nvmlDeviceGetGpuInstanceProfileInfo, device, number)
        if info is None:
            continue
        handles = (pynvml.c_nvmlGpuInstance_t * info.instanceCount)()
        for instance in _listed(pynvml.nvmlDeviceGetGpuInstances, device, info.id, handles):
            one = unless_gone(pynvml.nvmlGpuInstanceGetInfo, instance)
            if one is not None:
                found.append({'id': one.id, 'profile': text(info.name).removeprefix('MIG '), 'number': info.id,
                              'start': one.placement.start, 'size': one.placement.size, 'slices': info.sliceCount,
                              'computes': _computes(instance)})
    return found


def _computes(instance: Any) -> list[dict[str, Any]]:
    """Return the compute instances of a GPU instance."""
    found = []
    for number in range(pynvml.NVML_COMPUTE_INSTANCE_PROFILE_COUNT):
        info = optional(pynvml.nvmlGpuInstanceGetComputeInstanceProfileInfo, instance, number,
                        pynvml.NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_SHARED)
        if info is None:
            continue
        handles = (pynvml.c_nvmlComputeInstance_t * info.instanceCount)()
        for compute in _listed(pynvml.nvmlGpuInstanceGetComputeInstances, instance, info.id, handles):
            one = unless_gone(pynvml.nvmlComputeInstanceGetInfo_v2, compute)
            if one is not None:
                found.append({'id': one.id, 'start': one.placement.start, 'size': one.placement.size})
    return found


def _listed(function: Callable[..., Any], above: Any, profile: int, handles: Any) -> list[Any]:
    """Return the instances of a profile, for which ``handles`` has room."""
    count = ctypes.c_uint(0)
    unless_gone(function, above, profile, handles, ctypes.byref(count))
    return list(handles[:count.value])


def _mig_uuids(device: Any) -> dict[tuple[int, int], str]:
    """Return the UUIDs of MIG devices by the numbers of their GPU instance and compute instance."""
    found = {}
    for index in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(device)):
        told = unless_gone(_mig_device, device, index)
        if told is not None:
            found[told[0], told[1]] = told[2]
    return found


def _mig_device(device: Any, index: int) -> tuple[int, int, str]:
    mig = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(device, index)
    return (pynvml.nvmlDeviceGetGpuInstanceId(mig), pynvml.nvmlDeviceGetComputeInstanceId(mig),
            text(pynvml.nvmlDeviceGetUUID(mig)))


CALLS: dict[str, Callable[..., Any]] = {
    'open': open_, 'host': host, 'probes': probes, 'identity': identity, 'condition': condition, 'looks': looks,
    'instances': instances, 'events': events, 'create_instance': create_instance, 'destroy_instance': destroy_instance}


def main() -> None:
    """Answer lines until the pipe closes."""
    for line in sys.stdin:
        call, arguments = json.loads(line)
        try:
            answer: dict[str, Any] = {'result': CALLS[call](*arguments)}
        except pynvml.NVMLError as error:
            answer = {'code': error.value, 'error': str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == '__main__':
    main()
