# SPDX-License-Identifier: Apache-2.0
"""The state file: one C structure, mapped by the library and by the test that moves it.

This is the only description of it; :func:`tests.fakes.statefile.header` writes the C side.  Strings are NUL-terminated.
"""

import ctypes
from ctypes import c_char, c_int32, c_uint32, c_uint64

VERSION = 1
DEVICES = 16
PROFILES = 18          # NVML_GPU_INSTANCE_PROFILE_COUNT
COMPUTE_PROFILES = 9   # NVML_COMPUTE_INSTANCE_PROFILE_COUNT
INSTANCES = 8          # GPU instances of a device, and compute instances of a GPU instance
ONE_SLICE = 0          # NVML_GPU_INSTANCE_PROFILE_1_SLICE
ONE_SLICE_REV2 = 9     # NVML_GPU_INSTANCE_PROFILE_1_SLICE_REV2
COMPUTE_ONE_SLICE_REV1 = 7  # NVML_COMPUTE_INSTANCE_PROFILE_1_SLICE_REV1
STARTS = 8
HOLDERS = 8
PROCESSES = 16
LINKS = 18             # NVML_NVLINK_MAX_LINKS
EVENTS = 256
RULES = 16
VGPUS = 16
NO_PROFILE = 0xffffffff  # of a vGPU type that takes no GPU instance
CLIENTS = 64


class Profile(ctypes.Structure):
    """A GPU instance profile; ``sms`` 0 = the model lacks it.  ``memory`` in MiB."""

    _fields_ = [
        ('id', c_uint32), ('slices', c_uint32), ('count', c_uint32), ('sms', c_uint32), ('copy', c_uint32),
        ('decoders', c_uint32), ('jpeg', c_uint32), ('ofa', c_uint32), ('size', c_uint32), ('starts_count', c_uint32),
        ('starts', c_uint32 * STARTS), ('memory', c_uint64), ('name', c_char * 96)]


class Compute(ctypes.Structure):
    """A compute instance inside a GPU instance; ``holders``: processes that have its MIG device open."""

    _fields_ = [('used', c_uint32), ('profile', c_uint32), ('start', c_uint32), ('size', c_uint32),
                ('uuid', c_char * 96), ('holders', c_uint32 * HOLDERS)]


class Instance(ctypes.Structure):
    """A GPU instance: ``profile`` is an index of the device's profiles; ``vgpu`` the type of the vGPU that has it."""

    _fields_ = [('used', c_uint32), ('id', c_uint32), ('profile', c_uint32), ('start', c_uint32), ('vgpu', c_uint32),
                ('computes', Compute * INSTANCES)]


class Process(ctypes.Structure):
    """A process with a context; ``kind`` 0 compute, 1 graphics, 2 a client of MPS.  ``memory`` in MiB."""

    _fields_ = [('pid', c_uint32), ('kind', c_uint32), ('instance', c_uint32), ('compute', c_uint32),
                ('memory', c_uint64)]


class Link(ctypes.Structure):
    """An NVLink; ``kind`` 0 to a GPU, 2 to a switch (NVML's nvmlIntNvLinkDeviceType_t)."""

    _fields_ = [('present', c_uint32), ('active', c_uint32), ('version', c_uint32), ('kind', c_uint32),
                ('remote', c_char * 32)]


class Vgpu(ctypes.Structure):
    """A vGPU type of the device; ``most``: how many of it the device can have, in MiB each ``memory``.

    ``profile``: id of the profile of the GPU instance that each takes.
    """

    _fields_ = [('id', c_uint32), ('most', c_uint32), ('memory', c_uint64), ('profile', c_uint32), ('spare', c_uint32),
                ('name', c_char * 64)]


class Device(ctypes.Structure):
    """One GPU.  ``lost``: fallen off the bus; ``gone``: pulled out; clocks in MHz, power in mW, energy in mJ."""

    _fields_ = [
        ('gone', c_uint32), ('lost', c_uint32), ('name', c_char * 96), ('uuid', c_char * 96),
        ('serial', c_char * 32), ('bus_id', c_char * 32), ('pci_domain', c_uint32), ('pci_bus', c_uint32),
        ('pci_device', c_uint32), ('pci_id', c_uint32), ('minor', c_uint32), ('architecture', c_uint32),
        ('brand', c_uint32), ('cc_major', c_uint32), ('cc_minor', c_uint32), ('cores', c_uint32),
        ('sms', c_uint32), ('numa_node', c_int32), ('cpu_first', c_uint32), ('cpu_last', c_uint32),
        ('memory', c_uint64), ('reserved', c_uint64), ('used', c_uint64), ('ecc', c_uint32),
        ('persistence', c_uint32), ('compute_mode', c_uint32), ('temperature', c_uint32),
        ('temperature_slowdown', c_uint32), ('power', c_uint32), ('power_limit', c_uint32),
        ('clock_sm', c_uint32), ('clock_memory', c_uint32), ('clock_sm_max', c_uint32),
        ('clock_memory_max', c_uint32), ('utilization', c_uint32), ('utilization_memory', c_uint32),
        ('throttle', c_uint64), ('energy', c_uint64), ('recovery', c_uint32), ('recovery_known', c_uint32),
        ('ecc_corrected', c_uint64), ('ecc_uncorrected', c_uint64), ('remap_corrected', c_uint32),
        ('remap_uncorrected', c_uint32), ('remap_pending', c_uint32), ('remap_failure', c_uint32),
        ('mig_capable', c_uint32), ('mig', c_uint32), ('mig_pending', c_uint32), ('mig_slots', c_uint32),
        ('virtualization', c_uint32), ('profiles', Profile * PROFILES), ('instances', Instance * INSTANCES),
        ('processes', Process * PROCESSES), ('links', Link * LINKS), ('vgpus', Vgpu * VGPUS)]


class Event(ctypes.Structure):
    """What an event set tells; ``device`` is an index."""

    _fields_ = [('device', c_uint32), ('instance', c_uint32), ('compute', c_uint32), ('spare', c_uint32),
                ('kind', c_uint64), ('data', c_uint64)]


class Rule(ctypes.Structure):
    """A call that goes wrong: ``code`` is the answer, or it hangs while ``hang`` is set; ``met``: one has done so.

    ``function`` is a name, or empty for all that concern the device; ``device`` 0xffffffff = any.
    """

    _fields_ = [('active', c_uint32), ('hang', c_uint32), ('code', c_uint32), ('device', c_uint32), ('met', c_uint32),
                ('function', c_char * 64)]


class Client(ctypes.Structure):
    """A process that has initialised the library; ``devices``: those that it has open, a bit each."""

    _fields_ = [('pid', c_uint32), ('devices', c_uint32)]


class State(ctypes.Structure):
    """The host."""

    _fields_ = [
        ('version', c_uint32), ('size', c_uint32), ('devices_count', c_uint32), ('init_code', c_uint32),
        ('cuda', c_uint32), ('driver', c_char * 80), ('nvml', c_char * 80),
        ('events_count', c_uint64), ('calls', c_uint64), ('events', Event * EVENTS), ('rules', Rule * RULES),
        ('clients', Client * CLIENTS), ('devices', Device * DEVICES)]


STRUCTURES = (Profile, Compute, Instance, Process, Link, Vgpu, Device, Event, Rule, Client, State)
CONSTANTS = {name: globals()[name] for name in (
    'VERSION', 'DEVICES', 'PROFILES', 'COMPUTE_PROFILES', 'INSTANCES', 'ONE_SLICE', 'ONE_SLICE_REV2',
    'COMPUTE_ONE_SLICE_REV1', 'STARTS', 'HOLDERS', 'PROCESSES', 'LINKS', 'EVENTS',
    'RULES', 'VGPUS', 'NO_PROFILE', 'CLIENTS')}
