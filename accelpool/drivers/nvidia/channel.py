# SPDX-License-Identifier: Apache-2.0
"""Asking NVML, and what its errors mean for an operator."""

import pathlib
from collections.abc import Callable, Sequence

from accelpool.drivers import vendor
from accelpool.drivers.vendor import Hung

__all__ = ('Channel', 'Hung', 'NvmlError', 'explain')


class NvmlError(vendor.VendorError):
    """NVML answered with an error; ``number`` is NVML's."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(number, explain(number, text))


#: NVML's errors that concern the driver, or a device, as a whole: a new process may see more than the one that got it.
REOPEN = {1, 4, 9, 12, 15, 16, 18, 999}

#: NVML's error numbers and what an operator should do about them.
REMEDIES = {
    4: 'permission denied: run the conductor as root, or as a user who may write to /dev/nvidia* and '
       '/dev/nvidia-caps/*',
    9: 'the kernel module nvidia is not loaded: load it (modprobe nvidia) or install a driver for this kernel',
    12: 'libnvidia-ml.so.1 is not installed: install the NVIDIA driver, or take nvidia out of [conductor] drivers',
    15: 'the GPU is lost (fallen off the bus): reset it, and restart the host if that does not help',
    16: 'the GPU must be reset first (nvidia-smi --gpu-reset)',
    18: 'the loaded kernel module and the installed NVIDIA libraries are of different versions: restart the host, or '
        'unload and load the module again, after a driver update',
    19: 'it is in use: end the programs on it first (nvidia-smi shows them)',
    23: 'there is no room for it on the GPU: somebody else has made or left MIG instances there (nvidia-smi mig -lgi)',
    999: 'a GPU that NVML knows no more of has mostly fallen off the bus: look at the log of the kernel (dmesg, '
         'lines with NVRM), reset it, and restart the host if that does not help',
}


def explain(number: int, text: str) -> str:
    """Return NVML's error with what to do about it."""
    remedy = REMEDIES.get(number)
    return f'{text.rstrip(".")}: {remedy}' if remedy else text


class Channel(vendor.Channel):
    """To :mod:`~accelpool.drivers.nvidia.nvml`."""

    def __init__(self, deadline: float, library: str | None, *, opening: float | None = None,
                 addresses: Callable[[], Sequence[str] | None] = lambda: None) -> None:
        """
        :param deadline: seconds that a call may take
        :param library: directory of libnvidia-ml.so.1, None: where the loader finds it
        :param opening: seconds that opening it may take, with the initialisation of every GPU; None: the same
        :param addresses: gives the PCI addresses of the GPUs that a new process may open; None: all
        """
        super().__init__('NVML', pathlib.Path(__file__).with_name('nvml.py'), deadline, library, NvmlError,
                         opening=opening, given=lambda: (addresses(), deadline if opening is None else opening))
