# SPDX-License-Identifier: Apache-2.0
"""``accelpool service list``"""

from accelpool.cli import base


class ListService(base.List):
    """List the services and when each was last heard of."""

    noun = 'services'
    columns = ('id', 'binary', 'host', 'state', 'last_seen', 'disabled')
    long_columns = ('topic', 'disabled_reason', 'version')
    filters = {'binary': 'only this service', 'host': 'only this host'}
