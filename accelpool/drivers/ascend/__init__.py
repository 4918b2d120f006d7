# SPDX-License-Identifier: Apache-2.0
"""Huawei Ascend NPUs: found and watched through DCMI, cut whole, into vNPUs or metered shares.

:mod:`~accelpool.drivers.ascend.inventory` finds chips, :mod:`~accelpool.drivers.ascend.slicing` cuts them,
:mod:`~accelpool.drivers.ascend.remoting` says how a session uses one.  DCMI is only called in a process of its own
(:mod:`accelpool.drivers.vendor`).
"""

import pathlib

from oslo_config import cfg

from accelpool.conf import ascend as options
from accelpool.drivers import base, vendor
from accelpool.drivers.ascend.inventory import AscendInventory, DcmiError, Smi
from accelpool.drivers.ascend.mdev import VnpuMdev
from accelpool.drivers.ascend.remoting import AscendRemoting
from accelpool.drivers.ascend.slicing import AscendSlicing, Vnpu, Whole
from accelpool.drivers.book import Book

PROGRAM = pathlib.Path(__file__).with_name('dcmi.py')


class AscendDriver(base.Driver):
    """All three interfaces."""

    name = 'ascend'

    def __init__(self, host: str, state_dir: pathlib.Path, conf: cfg.ConfigOpts = cfg.CONF) -> None:
        """:raises DriverError: the book of slices is damaged"""
        conf.register_opts(options.OPTS, group=options.GROUP)
        chosen = conf[options.GROUP]
        book = Book(state_dir / 'ascend-slices.json')

        mdev = VnpuMdev(pathlib.Path(chosen.sysfs))

        def channel(deadline: float) -> vendor.Channel:
            return vendor.Channel('DCMI', PROGRAM, deadline, chosen.dcmi_dir, DcmiError)

        self.inventory = AscendInventory(
            host, channel(chosen.deadline),
            Smi(vendor.Channel('npu-smi', PROGRAM.with_name('smi.py'), chosen.npu_smi_deadline, None, DcmiError),
                chosen.npu_smi),
            mdev, state_dir / 'ascend-devices.json', sysfs=pathlib.Path(chosen.sysfs), vnpu_mode=chosen.vnpu_mode,
            isolations=book.isolations, retry_interval=chosen.retry_interval, drain_foreign=chosen.drain_foreign,
            ours=lambda device_id: {entry[entry['way']]: entry['template' if entry['way'] == 'vnpu' else 'type']
                                    for entry in book.of_device(device_id) if entry['way'] in ('vnpu', 'mdev')})
        self.remoting = AscendRemoting(chosen.library_dir)
        self.slicing = AscendSlicing(book, {
            'whole': Whole(), 'mdev': mdev,
            'vnpu': Vnpu(channel(chosen.vnpu_deadline), book, chosen.deadline, self.remoting.no_sessions_on_vnpus)})
