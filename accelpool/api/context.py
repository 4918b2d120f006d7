# SPDX-License-Identifier: Apache-2.0
"""Who is asking: the identity that the authentication middleware proved."""

from typing import Any

from oslo_config import cfg
from oslo_context import context
from oslo_middleware import request_id

from accelpool import errors

#: Key of the context in the WSGI environment.
ENVIRON = 'accelpool.context'

#: Project of everybody where there is no Keystone (strategies ``http_basic`` and ``none``).
STANDALONE_PROJECT = 'default'
STANDALONE_ROLES = ('admin', 'member', 'reader')


class Context(context.RequestContext):
    """A request's identity: ``project_id``, ``user_id``, ``roles``, ``service_roles`` and the ``request_id``."""

    project_id: str | None  # None: the token is the system's
    user_id: str
    roles: list[str]
    request_id: str

    def credentials(self) -> dict[str, Any]:
        """Return what oslo.policy judges by."""
        return dict(self.to_policy_values())


def from_environ(environ: dict[str, Any]) -> Context:
    """Build the context of a request.

    :raises Unauthorized: nobody vouched for the caller or for the service that asks for it, or the token has no scope
    """
    strategy = cfg.CONF.api.auth_strategy
    if strategy != 'keystone':
        user = environ['HTTP_X_USER'] if strategy == 'http_basic' else 'anonymous'
        return Context(
            user_id=user, project_id=STANDALONE_PROJECT,
            roles=list(STANDALONE_ROLES), service_roles=['service'], request_id=environ.get(request_id.ENV_REQUEST_ID))
    if environ.get('HTTP_X_IDENTITY_STATUS') != 'Confirmed':
        raise errors.Unauthorized('A valid token is needed in the header X-Auth-Token')
    if environ.get('HTTP_X_SERVICE_IDENTITY_STATUS', 'Confirmed') != 'Confirmed':
        raise errors.Unauthorized("The token in the header X-Service-Token is not a service's")
    found: Context = Context.from_environ(environ)
    if found.project_id is None and found.system_scope != 'all':
        raise errors.Unauthorized('The token must be scoped to a project or to the system')
    return found
