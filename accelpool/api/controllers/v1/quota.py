# SPDX-License-Identifier: Apache-2.0
"""``/v1/quotas``: what projects use and may use."""

import re
from typing import Any

from webob import exc

from accelpool import errors, policy
from accelpool.api import collection, microversions, resource
from accelpool.api.schemas.v1 import quota as schemas
from accelpool.db import models
from accelpool.db import quota as db_quota
from accelpool.db import session as db
from accelpool.policy import quota as rules
from accelpool.quota import keystone
from accelpool.quota.amounts import RESOURCES, Limits

#: What can be a project's id: as long as the column, and nothing that a URL would have to quote.
_PROJECT = re.compile(r'[A-Za-z0-9_.-]{1,64}')


def show(project_id: str, row: models.Quota | None, given: Limits) -> dict[str, Any]:
    own, limits = db_quota.own(row), db_quota.effective(row, given)

    def source(name: str) -> str:
        if getattr(given, name) is not None:
            return 'keystone'
        return 'default' if getattr(own, name) is None else 'project'

    return {'project_id': project_id} | {
        name: {'limit': getattr(limits, name), 'used': 0 if row is None else getattr(row, f'used_{name}'),
               'source': source(name)}
        for name in RESOURCES}


class QuotasController(resource.Resource):
    """The collection has the projects of which something is known; an item is addressed by the project's id."""

    @resource.endpoint(query=schemas.LIST_QUERY, response=schemas.LIST)
    def get_all(self, call: resource.Call) -> dict[str, Any]:
        _check_version(call)
        policy.authorize(call.context, rules.LIST)
        return collection.page(
            call, 'quotas', _list_page, lambda row: show(row.id, row, keystone.limits(row.id)),
            default_sort='project_id')

    @resource.endpoint(response=schemas.SHOW)
    def get_one(self, call: resource.Call, project_id: str) -> dict[str, Any]:
        self._check(call, project_id, rules.SHOW)
        given = keystone.limits(project_id)
        with db.reader() as session:
            return show(project_id, db_quota.find(session, project_id), given)

    @resource.endpoint(body=schemas.UPDATE, response=schemas.SHOW)
    def patch(self, call: resource.Call, project_id: str) -> dict[str, Any]:
        """Set limits; null gives a resource back to the configuration."""
        self._check(call, project_id, rules.UPDATE)
        given = keystone.limits(project_id)
        for name in call.body:
            if getattr(given, name) is not None:
                raise errors.Conflict(
                    f'{name}: Keystone has the limits of {name}; set it there (openstack limit create)', field=name)
        return db.retrying(lambda session: show(project_id, db_quota.limit(session, project_id, call.body), given))

    def _check(self, call: resource.Call, project_id: str, rule: str) -> None:
        """Another project's quota does not exist for those who may not see all."""
        _check_version(call)
        foreign = project_id != call.context.project_id and not policy.allows(call.context, rules.LIST)
        if foreign or not _PROJECT.fullmatch(project_id):
            raise errors.NotFound(f'Project {project_id} does not exist')
        policy.authorize(call.context, rule, {'project_id': project_id})


def _list_page(*, sort: collection.Sort, **page: Any) -> list[models.Quota]:
    with db.reader() as session:
        return db_quota.list_page(session, sort=[('id', direction) for _, direction in sort], **page)


def _check_version(call: resource.Call) -> None:
    if call.version < microversions.QUOTAS:
        raise exc.HTTPNotFound(resource.NOTHING_HERE)
