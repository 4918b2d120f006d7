# SPDX-License-Identifier: Apache-2.0
"""The state file of the stand-in of DCMI; :func:`tests.fakes.statefile.header` writes the C side."""

import ctypes
from ctypes import c_char, c_int32, c_uint32, c_uint64

VERSION = 5
DEVICES = 16
TEMPLATES = 8
VDEVICES = 16       # of a device
PROCESSES = 16
ERRORS = 8
RULES = 16
METAL, VM, CONTAINER, PRIVILEGED = range(4)     # where who calls runs; of containers, one without and one with all privileges
ANY = 0xffffffff      # number or group of a vNPU: whichever; a chip without groups has none


class Template(ctypes.Structure):
    """What a vNPU of a template takes; ``memory`` in MB."""

    _fields_ = [('name', c_char * 32), ('aicore', c_uint32), ('aicpu', c_uint32), ('jpegd', c_uint32),
                ('memory', c_uint32)]


class Vdevice(ctypes.Structure):
    """A vNPU: ``template`` is an index; ``group`` its virtual group, 0xffffffff where the chip has none.

    ``saved``: it is in the file (/etc/vnpu.cfg) from which the driver makes vNPUs again after a restart.
    """

    _fields_ = [('id', c_uint32), ('template', c_uint32), ('container', c_uint32), ('used', c_uint32),
                ('group', c_uint32), ('saved', c_uint32)]


class Process(ctypes.Structure):
    _fields_ = [('pid', c_uint32), ('spare', c_uint32), ('memory', c_uint64)]


class Device(ctypes.Structure):
    """One chip.

    ``unit``: DCMI's kind of it, 0 an NPU, 1 an MCU.  ``health`` as DCMI: 0 well, 1 minor, 2 major, 3 critical alarm,
    0xffffffff absent.  ``errors``: its error codes, up to the first 0.  Chips of one ``island`` (not 0)
    reach each other over HCCS.  ``groups``: how many virtual groups it can have, each of at least ``group_cores``.
    """

    _fields_ = [
        ('gone', c_uint32), ('unit', c_uint32), ('card', c_uint32), ('chip', c_uint32), ('name', c_char * 32), ('vendor', c_uint32),
        ('pci_id', c_uint32), ('pci_domain', c_int32), ('pci_bus', c_uint32), ('die', c_uint32 * 5),
        ('aicore', c_uint32), ('aicpu', c_uint32), ('jpegd', c_uint32), ('memory', c_uint64), ('used', c_uint64),
        ('hbm', c_uint32), ('health', c_uint32), ('errors', c_uint32 * ERRORS), ('temperature', c_int32), ('power', c_int32),
        ('utilization', c_uint32), ('cpu_first', c_uint32), ('cpu_last', c_uint32), ('island', c_uint32), ('smp', c_uint32),
        ('groups', c_uint32), ('group_cores', c_uint32), ('templates_count', c_uint32),
        ('templates', Template * TEMPLATES), ('vdevices', Vdevice * VDEVICES), ('processes', Process * PROCESSES)]


class Rule(ctypes.Structure):
    """A call that goes wrong; see the stand-in of NVML."""

    _fields_ = [('active', c_uint32), ('hang', c_uint32), ('code', c_uint32), ('device', c_uint32),
                ('met', c_uint32), ('function', c_char * 64)]


class State(ctypes.Structure):
    """The host.

    ``mode``: 0 vNPUs are for containers, 1 for VMs.  ``recover``: they are made again after a restart.  ``v2``: it has
    950s and their functions.  ``root`` and ``place``: who calls, and where.
    """

    _fields_ = [('version', c_uint32), ('devices_count', c_uint32), ('init_code', c_int32), ('mode', c_uint32), ('v2', c_uint32), ('recover', c_uint32),
                ('root', c_uint32), ('place', c_uint32),
                ('driver', c_char * 64), ('dcmi', c_char * 64), ('rules', Rule * RULES), ('devices', Device * DEVICES)]


STRUCTURES = (Template, Vdevice, Process, Device, Rule, State)
CONSTANTS = {name: globals()[name] for name in ('VERSION', 'DEVICES', 'TEMPLATES', 'VDEVICES', 'PROCESSES', 'ERRORS', 'RULES', 'ANY',
                                             'METAL', 'VM', 'CONTAINER', 'PRIVILEGED')}
