# SPDX-License-Identifier: Apache-2.0
"""``accelpool service list|set``"""

from typing import Any

from accelpool.cli import base


class ListService(base.List):
    """List the services and when each was last heard of."""

    noun = 'services'
    columns = ('id', 'binary', 'host', 'state', 'last_seen', 'disabled')
    long_columns = ('topic', 'disabled_reason', 'version')
    filters = {'binary': 'only this service', 'host': 'only this host'}


class SetService(base.Toggle):
    """Enable or disable a service.

    The devices of a disabled conductor take no new slices; a disabled scheduler leaves its work to the others; the
    health check of a disabled API fails, so that balancers leave it alone.
    """

    noun = 'services'
    effects = ('let it work', 'let it rest')

    def switch(self, enabled: bool) -> dict[str, Any]:
        return {'disabled': not enabled}
