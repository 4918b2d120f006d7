# SPDX-License-Identifier: Apache-2.0
"""``accelpool driver list``"""

from accelpool.cli import base


class ListDriver(base.List):
    """List the drivers, what each implements and the hosts that use it."""

    noun = 'drivers'
    columns = ('name', 'interfaces', 'hosts')
