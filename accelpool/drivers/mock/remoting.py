# SPDX-License-Identifier: Apache-2.0
"""Using devices: the emulated vendor library, told by its environment which device it is."""

import uuid

from accelpool.drivers import base
from accelpool.remoting import artefacts
from accelpool.types import Device


class MockRemoting(base.Remoting):
    """The CUDA driver API or AscendCL, as the device is described."""

    def endpoint(self, device: Device) -> base.Endpoint:
        description = {
            'name': device.model,
            # A part of a device comes as <device>/<slice> and is a device of its own for its sessions.
            'uuid': uuid.UUID(device.id.rpartition('/')[2]).hex,
            'memory_mib': device.memory,
            'cc': device.options['cc'],
            'sm': device.options['sm'],
            'soc': device.options['soc'],
            'pci': device.pci_address,
        }
        interface = device.options['interface']
        return base.Endpoint(
            interface=interface,
            library=str(artefacts.emulated_library(interface)),
            env={'ACCELPOOL_EMU_DEVICE': ';'.join(f'{key}={value}' for key, value in description.items())},
        )
