# SPDX-License-Identifier: Apache-2.0
"""Emulated devices: real in every path - pooled, cut, remote, metered, failing - without hardware.

They are described in the configuration section ``[mock:<host>]`` (:mod:`accelpool.conf.mock`) and speak the
CUDA driver API; their kernels run on the CPU.  This is also the example of how to write a driver:
:mod:`~accelpool.drivers.mock.inventory` finds devices, :mod:`~accelpool.drivers.mock.slicing` cuts them,
:mod:`~accelpool.drivers.mock.remoting` says how a session uses one.
"""

import pathlib

from accelpool.conf import mock as options
from accelpool.drivers import base
from accelpool.drivers.mock.inventory import MockInventory
from accelpool.drivers.mock.remoting import MockRemoting
from accelpool.drivers.mock.slicing import MockSlicing


class MockDriver(base.Driver):
    """All three interfaces."""

    name = 'mock'

    def __init__(self, host: str, state_dir: pathlib.Path) -> None:
        devices, health_file = options.for_host(host)
        self.inventory = MockInventory(
            host, devices, pathlib.Path(health_file) if health_file else state_dir / 'mock-health.json')
        self.slicing = MockSlicing(state_dir / 'mock-slices.json')
        self.remoting = MockRemoting()
