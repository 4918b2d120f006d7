# SPDX-License-Identifier: Apache-2.0
"""``accelpool host list|show|set``"""

from accelpool.cli import base


class ListHost(base.List):
    """List the hosts that run a conductor."""

    noun = 'hosts'
    columns = ('id', 'name', 'state', 'enabled', 'disabled_reason')
    long_columns = ('advertise', 'last_seen', 'created_at')
    filters = {'name': 'only this host'}


class ShowHost(base.Show):
    """Show one host."""

    noun = 'hosts'


class SetHost(base.Toggle):
    """Enable or disable a host: the devices of a disabled host take no new slices."""

    noun = 'hosts'
