# SPDX-License-Identifier: Apache-2.0
"""NVIDIA GPUs: found and watched through NVML, cut whole, by MIG, MPS, vGPUs or metered shares.

:mod:`~accelpool.drivers.nvidia.inventory` finds devices and follows their health,
:mod:`~accelpool.drivers.nvidia.slicing` cuts them, :mod:`~accelpool.drivers.nvidia.remoting` says how a session uses
one.  NVML is only called in a process of its own (:mod:`~accelpool.drivers.nvidia.channel`).
"""

import pathlib
from collections.abc import Callable, Sequence

from oslo_config import cfg

from accelpool.conf import nvidia as options
from accelpool.drivers import base
from accelpool.drivers.book import Book
from accelpool.drivers.nvidia.backed import Backed
from accelpool.drivers.nvidia.channel import Channel
from accelpool.drivers.nvidia.inventory import NvidiaInventory, boot_id
from accelpool.drivers.nvidia.mdev import VgpuMdev
from accelpool.drivers.nvidia.mig import Mig
from accelpool.drivers.nvidia.mps import Mps
from accelpool.drivers.nvidia.remoting import NvidiaRemoting
from accelpool.drivers.nvidia.slicing import NvidiaSlicing, Shared, Whole
from accelpool.drivers.nvidia.vf import VgpuVf
from accelpool.drivers.nvidia.watch import Watch


class NvidiaDriver(base.Driver):
    """All three interfaces."""

    name = 'nvidia'

    def __init__(self, host: str, state_dir: pathlib.Path, conf: cfg.ConfigOpts = cfg.CONF) -> None:
        """:raises DriverError: the book of slices is damaged"""
        conf.register_opts(options.OPTS, group=options.GROUP)
        chosen = conf[options.GROUP]
        book = Book(state_dir / 'nvidia-slices.json')
        sysfs = pathlib.Path(chosen.mdev_root)

        def channel(deadline: float, only: Callable[[], Sequence[str] | None]) -> Channel:
            return Channel(deadline, chosen.library_dir, opening=max(deadline, chosen.open_deadline), addresses=only)

        def addresses() -> Sequence[str] | None:
            return inventory.addresses()

        def looking() -> Channel:
            return channel(chosen.deadline, addresses)

        def cutting(uuid: str) -> Channel:
            return channel(chosen.mig_deadline, lambda: inventory.address(uuid))

        mdev, vf = VgpuMdev(sysfs, book.of_device), VgpuVf(sysfs, book)
        mig = Mig(cutting, book, reading=chosen.deadline, retry=chosen.retry_interval, boot=boot_id)
        inventory = self.inventory = NvidiaInventory(
            host, state_dir / 'nvidia-devices.json', looking(), Watch(looking, chosen.retry_interval),
            ours=lambda device_id: {entry['start'] for entry in book.of_device(device_id) if 'start' in entry},
            isolations=book.isolations, hung=mig.hung, resting=mig.rest,
            types=lambda device: vf.geometry(device) or mdev.geometry(device),
            retry_interval=chosen.retry_interval, drain_foreign=chosen.drain_foreign,
            overhead=chosen.session_overhead_mib, sysfs=sysfs)
        self.slicing = NvidiaSlicing(book, {
            'whole': Whole(), 'shared': Shared(), 'mdev': mdev, 'vf': vf, 'mig': mig,
            'mig-mdev': Backed(mig, mdev, away=lambda entry: False), 'mig-vf': Backed(mig, vf, away=vf.away),
            'mps': Mps(chosen.mps_control, pathlib.Path(chosen.mps_directory), others=lambda device_id: sum(
                entry['way'] == 'mps' for entry in book.of_device(device_id))),
        }, mps=chosen.mps,
            vgpu=lambda pci: 'vf' if vf.functions(pci) else 'mdev' if mdev.functions(pci) else None)
        self.remoting = NvidiaRemoting(chosen.library_dir, host_access=chosen.host_memory_access == 'allow')
