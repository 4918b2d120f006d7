# SPDX-License-Identifier: Apache-2.0
"""``accelpool device list|show|set``"""

from accelpool.cli import base


class ListDevice(base.List):
    """List the devices of the pool, with what is free on each."""

    noun = 'devices'
    columns = ('id', 'host', 'model', 'memory', 'free_memory', 'free_compute', 'slices', 'health', 'health_reason')
    long_columns = ('overhead', 'driver', 'vendor', 'traits', 'modes', 'numa_node', 'fabric', 'pci_address', 'enabled',
                    'disabled_reason', 'pools')
    filters = {
        'host': 'only this host', 'model': 'only this model', 'vendor': 'only this vendor',
        'driver': 'only this driver', 'health': 'ok, degraded, failed or missing', 'pool': 'only this pool',
    }


class ShowDevice(base.Show):
    """Show one device."""

    noun = 'devices'


class SetDevice(base.Toggle):
    """Enable or disable a device: a disabled device keeps its slices and takes no new ones."""

    noun = 'devices'
