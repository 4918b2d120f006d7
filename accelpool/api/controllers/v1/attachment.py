# SPDX-License-Identifier: Apache-2.0
"""``/v1/allocations/{id}/attachment``: how the owner's program reaches its slices."""

from typing import Any

from oslo_config import cfg
from oslo_log import log

from accelpool import errors, policy
from accelpool.allocations import states
from accelpool.api import ownership, resource, ways
from accelpool.api.controllers.v1 import host as host_controller
from accelpool.api.schemas.v1 import allocation as schemas
from accelpool.db import host as db_host
from accelpool.db import session as db
from accelpool.policy import allocation as rules
from accelpool.rpc import client

LOG = log.getLogger(__name__)

#: Version of the attachment's form.
VERSION = 1


class AttachmentController(resource.Resource):
    """Secrets: for the owning project's members only, fresh each time, never stored."""

    @resource.endpoint(response=schemas.ATTACHMENT)
    def get_all(self, call: resource.Call, allocation_id: str) -> resource.Answer:
        with db.reader() as session:
            found = ownership.own(session, call.context, allocation_id)
            policy.authorize(call.context, rules.ATTACHMENT, {'project_id': found.project_id})
            if found.state != states.State.ACTIVE:
                why = f' ({found.reason})' if found.reason else ''
                raise errors.StateConflict(
                    f'Allocation {allocation_id} is {found.state}{why}; only an active one has an attachment')
            watched = self._is_up(session, found.consumer_host)
        devices = [
            {**entry, 'urls': ways.on_network(entry['urls'], found.request.get('data_network'), name)}
            for name in sorted({item.host for item in found.slices})
            for entry in client.ConductorClient(name).attach(allocation_id)]
        holder = self._holder(found.consumer_host, allocation_id) if watched else None
        routed = self._routed(found.consumer_host, allocation_id, devices) if watched else {}
        for entry in devices:
            entry['urls'] = ways.arrange(entry['urls'], routed, cfg.CONF.agent.front_door)
        return resource.Answer(
            {
                'version': VERSION, 'technique': found.request['technique'], 'allocation': allocation_id,
                'devices': sorted(devices, key=lambda entry: int(entry['ordinal'])), 'holder': holder,
            },
            headers={'Cache-Control': 'no-store'})

    def _is_up(self, session: Any, name: str | None) -> bool:
        """Say whether the consumer's host has an agent that can watch over the consumer."""
        if name is None:
            return False
        try:
            return host_controller.is_up(db_host.get(session, name).last_seen)
        except errors.NotFound:
            return False

    def _routed(self, name: str | None, allocation_id: str, devices: list[dict[str, Any]]) -> dict[str, list[ways.Way]]:
        """Ask the consumer's own agent how it leads to each of the devices' URLs."""
        places = list({place['url']: place for entry in devices for place in entry['urls']}.values())
        if cfg.CONF.agent.front_door == 'never' or not places:
            return {}
        try:
            found = client.ConductorClient(str(name)).route(allocation_id, places)
        except errors.ServiceUnavailable as failure:
            LOG.warning('Allocation %s has no front door on %s: %s', allocation_id, name, failure.detail)
            return {}
        return {place['url']: list(through) for place, through in zip(places, found, strict=True)}

    def _holder(self, name: str | None, allocation_id: str) -> dict[str, Any] | None:
        """Ask for a holder's credential; without one the allocation lives by its TTL alone."""
        try:
            return client.ConductorClient(str(name)).holder(allocation_id)
        except errors.ServiceUnavailable as failure:
            LOG.warning('Allocation %s has no holder on %s: %s', allocation_id, name, failure.detail)
            return None
