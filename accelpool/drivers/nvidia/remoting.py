# SPDX-License-Identifier: Apache-2.0
"""Serving devices: the host's own libcuda.so.1, and the nodes that a CUDA context opens."""

import pathlib
import subprocess

from accelpool import errors
from accelpool.drivers import base
from accelpool.drivers.nvidia.slicing import COMMON_NODES, no_sessions
from accelpool.types import Device

SONAME = 'libcuda.so.1'
#: Other CUDA programs have libcuda do that, through a program that is setuid root; a worker may not.
REMEDY = ('on the host, nvidia-modprobe -c 0 -u makes nvidia-uvm, and nvidia-modprobe -f '
          '/proc/driver/nvidia/capabilities/... those in /dev/nvidia-caps')


def library(directory: str | None) -> pathlib.Path:
    """Return the absolute path of the vendor's libcuda.so.1.

    It is looked for where the system's loader looks (ldconfig's cache), not along LD_LIBRARY_PATH: there may be a
    client library of this pool.

    :param directory: ``[nvidia] library_dir``
    :raises NotSupported: there is none
    """
    if directory is not None:
        found = pathlib.Path(directory) / SONAME
        if found.exists():
            return found
    else:
        for line in _cache():
            name, _, path = line.partition(' => ')
            if name.split(maxsplit=1)[:1] == [SONAME] and 'x86-64' in name and pathlib.Path(path).exists():
                return pathlib.Path(path)
    raise errors.NotSupported(
        f'{SONAME} of the NVIDIA driver was not found; install the driver, or name its directory in '
        '[nvidia] library_dir')


def _cache() -> list[str]:
    try:
        done = subprocess.run(['/sbin/ldconfig', '-p'], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines()]


class NvidiaRemoting(base.Remoting):
    """The CUDA driver API."""

    def __init__(self, directory: str | None, *, host_access: bool = False,
                 root: pathlib.Path = pathlib.Path('/')) -> None:
        """
        :param directory: ``[nvidia] library_dir``
        :param host_access: whether a worker goes on where kernels reach its memory
        :param root: where device nodes are looked for
        """
        self._directory = directory
        self._host_access = host_access
        self._root = root

    def endpoint(self, device: Device) -> base.Endpoint:
        """A device in MIG mode is reached by the UUID of an instance, which its slice adds to the environment.

        Its own node is made by NVML.  Where that is not there the library reaches it in a way that is not known here,
        and no node is missed.
        """
        why = no_sessions(device)
        if why is not None:
            raise errors.NotSupported(f'{device.model} at {device.pci_address}: {why}')
        env = {'CUDA_DEVICE_ORDER': 'PCI_BUS_ID', 'CUDA_VISIBLE_DEVICES': device.options['uuid'],
               'CUDA_MODULE_LOADING': 'LAZY', 'CUDA_CACHE_DISABLE': '1',  # of compiled PTX: a session writes no files
               **({'ACCELPOOL_HOST_ACCESS': '1'} if self._host_access else {})}
        own = f'/dev/nvidia{device.options["minor"]}'
        return base.Endpoint(
            interface='cuda', library=str(library(self._directory)), env=env, nodes=(own, *COMMON_NODES),
            remedy=REMEDY if (self._root / own[1:]).exists() else '')
