# SPDX-License-Identifier: Apache-2.0
"""From NVML's words to the pool's: traits, NVLink islands, partitions.  Pure."""

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from accelpool.partitions import Geometry, Span, Template
from accelpool.types import Device

#: NVML_DEVICE_ARCH_...
ARCHITECTURES = {2: 'KEPLER', 3: 'MAXWELL', 4: 'PASCAL', 5: 'VOLTA', 6: 'TURING', 7: 'AMPERE', 8: 'ADA', 9: 'HOPPER',
                 10: 'BLACKWELL'}
#: CUDA cores of a multiprocessor by compute capability (CUDA C++ Programming Guide, arithmetic instructions).
CORES_PER_SM = {'6.0': 64, '6.1': 128, '6.2': 128, '7.0': 64, '7.2': 64, '7.5': 64, '8.0': 64}
#: What os-traits knows; later versions have to be CUSTOM_ ones.
STANDARD_CAPABILITIES = {'1.0', '1.1', '1.2', '1.3', '2.0', '2.1', '3.0', '3.2', '3.5', '3.7', '5.0', '5.2', '5.3',
                         '6.0', '6.1', '6.2', '7.0', '7.1', '7.2'}
STANDARD_SDKS = ((6, 5), (7, 5), (8, 0), (9, 0), (9, 1), (9, 2), (10, 0))
#: NVML_GPU_VIRTUALIZATION_MODE_HOST_VGPU
HOST_VGPU = 3
#: What vGPU types are called: as they would be as mediated devices, so that a request serves every kind of hosts.
VGPU = 'nvidia-'
#: The first CUDA whose driver lists and names a module's kernels (CUDA Driver API: cuModuleEnumerateFunctions).
SESSIONS_CUDA = 12040


def multiprocessors(identity: Mapping[str, Any]) -> int | None:
    """Return the number of SMs; NVML tells cores only."""
    cores: int | None = identity['cores']
    return None if cores is None else cores // CORES_PER_SM.get(identity['compute_capability'], 128)


def traits(identity: Mapping[str, Any], condition: Mapping[str, Any], cuda: int) -> tuple[str, ...]:
    """Return a device's traits in Placement's spelling, sorted.

    :param cuda: the highest CUDA version of the driver, 1000 * major + 10 * minor
    """
    capability = identity['compute_capability']
    prefix = 'HW_GPU' if capability in STANDARD_CAPABILITIES else 'CUSTOM_GPU'
    version = divmod(cuda, 1000)
    found = {f'{prefix}_CUDA_COMPUTE_CAPABILITY_V{capability.replace(".", "_")}',
             'CUSTOM_GPU_API_CUDA', 'CUSTOM_NVIDIA', 'CUSTOM_' + _word(identity['name']),
             f'CUSTOM_GPU_CUDA_SDK_V{version[0]}_{version[1] // 10}'}
    # A driver runs programs of every earlier toolkit.
    found |= {f'HW_GPU_CUDA_SDK_V{major}_{minor}' for major, minor in STANDARD_SDKS
              if (major, minor) <= (version[0], version[1] // 10)}
    if identity['architecture'] in ARCHITECTURES:
        found.add(f'CUSTOM_NVIDIA_{ARCHITECTURES[identity["architecture"]]}')
    if condition['ecc']:
        found.add('CUSTOM_GPU_ECC')
    if condition['mig'] is not None:
        found.add('CUSTOM_GPU_MIG_ENABLED' if condition['mig'] else 'CUSTOM_GPU_MIG_CAPABLE')
    if identity['links']:
        found.add('CUSTOM_GPU_NVLINK')
    if identity['virtualization'] == HOST_VGPU:
        found.add('CUSTOM_GPU_VGPU')
    return tuple(sorted(found))


def no_sessions(host: Mapping[str, Any]) -> str | None:
    """Return why no session can be served on a host, None: they can.  A worker has to know the kernels of a module."""
    if host['cuda'] >= SESSIONS_CUDA:
        return None
    # The driver of a CUDA: CUDA Toolkit Release Notes, "CUDA Toolkit and Corresponding Driver Versions".
    return (f'sessions need the NVIDIA driver 550 or later (CUDA 12.4), and this one is {host["driver"]}; only '
            'instances of the host can have its whole devices and vGPUs')


def _word(name: str) -> str:
    return re.sub(r'[^A-Z0-9]+', '_', name.upper()).strip('_')


def islands(host: str, identities: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return device UUID -> fabric domain: devices that reach each other over NVLink, directly or by a switch.

    A device that reaches nobody is in no domain.  A domain is named after the host and its lowest PCI address.

    :param identities: of devices that are not in MIG mode, which switches NVLinks off (NVIDIA MIG User Guide,
        "Application Considerations": no GPU to GPU P2P)
    """
    devices = {one['bus_id'].upper(): one['uuid'] for one in identities}
    above: dict[str, str] = {}

    def root(name: str) -> str:
        while above.get(name, name) != name:
            name = above[name]
        return name

    for one in identities:
        for link in one['links']:
            # Switches of one host are one fabric; their own addresses are not needed.
            far = 'switch' if link['switch'] else (link['remote'] or '').upper()
            if far == 'switch' or far in devices:
                above[root(one['bus_id'].upper())] = root(far)
    groups: dict[str, list[str]] = {}
    for bus in devices:
        groups.setdefault(root(bus), []).append(bus)
    return {devices[bus]: f'{host}/nvlink-{min(group).split(":", 1)[1].lower()}'
            for group in groups.values() if len(group) > 1 for bus in group}


def geometry(identity: Mapping[str, Any], condition: Mapping[str, Any], ours: Iterable[int], overhead: int) -> Geometry:
    """Return the MIG geometry of a device in MIG mode: vGPU types, where the host has such that take GPU instances.

    :param ours: first slices of the instances that this driver made; the others are taken for good
    :param overhead: MiB that the context of a slice's session takes
    """
    profiles = identity['profiles']
    most = max((profile['slices'] for profile in profiles), default=0)
    mine = set(ours)
    templates = [*_backed(identity, most)] or [
        one for profile in profiles for one in _templates(profile, most, overhead)]
    return Geometry(
        templates=tuple(sorted(templates, key=lambda one: (bool(one.within), one.size, one.compute, one.special))),
        capacity={'slices': most, **{profile['name']: profile['count'] for profile in profiles}},
        taken=tuple(Span(start=one['start'], size=one['size'], needs=_needs(profiles, one['profile']))
                    for one in condition['instances'] if one['start'] not in mine))


def _templates(profile: Mapping[str, Any], most: int, overhead: int) -> Iterator[Template]:
    """Yield a GPU instance with one compute instance, and the smaller compute instances that can share one.

    These have the instance's memory together; each is sold its part of it, without the context of its session.
    NVML tells their profiles only of an instance that exists, so their places follow from the rule that they show
    (NVIDIA MIG User Guide, "Compute Instances"): one of c slices begins at a multiple of c rounded up to a power of
    two.  Three slices of four are none.

    :param most: compute slices of the device
    """
    slices = profile['slices']
    whole = _whole(profile, most)
    yield whole
    for length in (1, 2, 3, 4):
        memory = whole.memory * length // slices - overhead
        if length < slices and (length, slices) != (3, 4) and memory > 0:
            step = 1 << (length - 1).bit_length()
            yield dataclasses.replace(
                whole, name=f'{length}c.{whole.name}', compute=100 * length // most,
                memory=memory, special=True, within=whole.name, length=length,
                offsets=tuple(range(0, slices - length + 1, step)))


def _whole(profile: Mapping[str, Any], most: int) -> Template:
    slices = profile['slices']
    return Template(
        name=profile['name'], compute=100 * slices // most, memory=profile['memory'],
        needs={'slices': slices, profile['name']: 1}, size=profile['size'], starts=tuple(profile['starts']),
        special='+' in profile['name'])


def _backed(identity: Mapping[str, Any], most: int) -> Iterator[Template]:
    """Yield the vGPU types that take a GPU instance each.

    There can be more of those that take turns on one than there can be instances: they are left out.
    """
    profiles = {profile['name']: profile for profile in identity['profiles']}
    for kind in identity['vgpus']:
        profile = profiles.get(kind['profile'])
        if profile is not None and kind['most'] <= profile['count']:
            # The profile of every graphics type has a plus; that of media engines is the only rare one.
            yield dataclasses.replace(
                _whole(profile, most), name=f'{VGPU}{kind["id"]}', memory=min(kind['memory'], profile['memory']),
                special='+me' in profile['name'])


def backed(device: Device) -> bool:
    """Return whether a device is in MIG mode and its partitions are vGPU types."""
    return bool(device.options.get('mig')) and any(
        one['name'].startswith(VGPU) for one in (device.partitions or {}).get('templates', ()))


def _needs(profiles: Iterable[Mapping[str, Any]], name: str) -> dict[str, int]:
    return next(({'slices': one['slices'], name: 1} for one in profiles if one['name'] == name), {})


@dataclasses.dataclass(frozen=True, kw_only=True)
class VgpuType:
    """A type of vGPU on a device: MiB, how many the device could have, and how many there are of the pool and others.

    ``free``: how many more the host says that there can be now, none of a type that the present ones exclude.
    """

    name: str
    memory: int
    most: int
    free: int
    ours: int
    foreign: int


def vgpus(memory: int, kinds: Iterable[VgpuType]) -> Geometry:
    """Return vGPU types as partitions; one costs one of its own kind, and its memory.

    :param memory: MiB of the device
    """
    kinds = sorted(kinds, key=lambda one: one.memory)
    needs = {one.name: {one.name: 1, 'memory': one.memory} for one in kinds}
    return Geometry(
        templates=tuple(Template(name=one.name, compute=max(1, 100 // max(1, one.most)), memory=min(one.memory, memory),
                                 needs=needs[one.name]) for one in kinds),
        # What is sold as memory is nominal: the largest type has more than the device says that it has.
        capacity={'memory': max(memory, *(one.memory for one in kinds)),
                  **{one.name: one.free + one.ours + one.foreign for one in kinds}},
        taken=tuple(Span(needs=needs[one.name]) for one in kinds for _ in range(one.foreign)))


def device_id(uuid: str) -> str:
    """Return the pool's id of a device: the UUID without NVIDIA's prefix when it is one."""
    plain = uuid.removeprefix('GPU-').lower()
    if re.fullmatch(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', plain):
        return plain
    digest = hashlib.sha256(uuid.encode()).hexdigest()
    return f'{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}'
