# SPDX-License-Identifier: Apache-2.0
"""Nova: it is told how bindings end, and asked which instances still exist.

Both are loops of the schedulers.  What they miss while they are down they find when they look again, because the
database has all they need to know.
"""

import datetime
import functools
import logging
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import requests
from keystoneauth1 import exceptions
from oslo_config import cfg

from accelpool import errors, ksa
from accelpool.allocations.states import State as AllocationState
from accelpool.consumers import instance as instances
from accelpool.db import arq as db_arq
from accelpool.db import models
from accelpool.db import service as db_service
from accelpool.db import session as db_session
from accelpool.loop import Loop

LOG = logging.getLogger(__name__)

#: Of Nova's API: the first one with events of accelerators.
MICROVERSION = '2.82'
#: Seconds that a binding must be old before its instance is looked for: Nova may be about to make it.
GRACE = 30
#: Seconds after which requests that were never bound are deleted.  Nova binds within seconds, or never.
FORGOTTEN = 3600


class Server(Protocol):
    """A keystoneauth adapter for Nova's API."""

    def request(self, url: str, method: str, **options: Any) -> requests.Response: ...


class Nova:
    """The two requests, on one session that is kept: making one costs as much as several bindings."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def tell(self, statuses: Mapping[str, tuple[str, str]]) -> set[str]:
        """Send an event for each ARQ; returns those of which Nova has taken note.

        Nova refuses events of instances that it has not given a host yet: one of several (207, with a code for each)
        or all (404 or 422).

        :param statuses: ARQ -> instance, ``completed`` or ``failed``
        :raises ServiceUnavailable: Nova does not answer, or not as it should
        """
        answer = self._ask('POST', '/os-server-external-events', json={'events': [
            {'name': 'accelerator-request-bound', 'server_uuid': server, 'tag': arq, 'status': status}
            for arq, (server, status) in statuses.items()]})
        if answer.status_code in {404, 422}:
            return set()
        if answer.status_code not in {200, 207}:
            raise errors.ServiceUnavailable(f'Nova answers an event with {answer.status_code}')
        return {event['tag'] for event in answer.json()['events'] if event.get('code', 200) == 200}

    def exists(self, server: str) -> bool:
        """:raises ServiceUnavailable: Nova does not say"""
        answer = self._ask('GET', f'/servers/{server}')
        if answer.status_code not in {200, 404}:
            raise errors.ServiceUnavailable(f'Nova answers {answer.status_code} when asked for an instance')
        return answer.status_code == 200

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        try:
            return self._server.request(path, method, raise_exc=False, **options)
        except exceptions.ClientException as failure:
            raise errors.ServiceUnavailable(f'Nova cannot be reached: {failure}') from failure


class Events:
    """Tells Nova how bindings have ended that could not end at once."""

    def __init__(self, nova: Nova | None, timeout: float) -> None:
        """
        :param nova: None: nobody is told; Nova finds out when it looks
        :param timeout: seconds after which Nova is not told any more
        """
        self._nova = nova
        self._timeout = datetime.timedelta(seconds=timeout)

    def run(self) -> None:
        with db_session.reader() as session:
            ended = [one for one in db_arq.unsettled(session) if _end(one) is not None]
        known = self._tell(ended)
        late = models.utcnow() - self._timeout
        for one in ended:
            if one.id in known or (one.updated_at or one.created_at) < late:
                state = db_arq.State.BOUND if _end(one) == 'completed' else db_arq.State.BIND_FAILED
                db_session.retrying(functools.partial(db_arq.settle, identifier=one.id, state=state))

    def _tell(self, ended: Iterable[db_arq.View]) -> set[str]:
        statuses = {one.id: (str(one.instance_uuid), str(_end(one))) for one in ended}
        if self._nova is None or not statuses:
            return set(statuses)
        return self._nova.tell(statuses)


def _end(arq: db_arq.View) -> str | None:
    """Return the status of the event that a binding's end is; None: it has not ended."""
    match arq.allocation_state:
        case AllocationState.ACTIVE:
            return 'completed'
        case AllocationState.PENDING | AllocationState.SCHEDULED | AllocationState.BINDING:
            return None
    return 'failed'


class Comparison:
    """Gives back what instances had that exist no more, for whatever reason Nova did not do it."""

    def __init__(self, nova: Nova, host: str, down_after: float) -> None:
        """
        :param host: the name of this scheduler; the first of those that work does the comparison
        :param down_after: seconds of silence after which a scheduler counts as down
        """
        self._nova = nova
        self._host = host
        self._down_after = datetime.timedelta(seconds=down_after)

    def run(self) -> None:
        now = models.utcnow()
        with db_session.reader() as session:
            if not db_service.leads(session, db_service.SCHEDULER, self._host, now - self._down_after):
                return
            known = db_arq.instances(session, now - datetime.timedelta(seconds=GRACE))
        for server in known:
            if not self._nova.exists(server):
                given_back = instances.delete_of_instance(server)
                LOG.warning('Instance %s is gone; %d slices that it had are given back', server, given_back)
        forgotten = now - datetime.timedelta(seconds=FORGOTTEN)
        db_session.retrying(lambda session: db_arq.delete_forgotten(session, forgotten))


def loops(host: str) -> list[Loop]:
    """Return what a scheduler does for Nova, as ``[nova]`` says."""
    conf = cfg.CONF.nova
    nova = Nova(ksa.adapter('nova', MICROVERSION)) if ksa.configured('nova') else None
    found = [Loop(f'events to Nova from {host}', conf.event_interval, Events(nova, conf.event_timeout).run)]
    if nova is not None:
        comparison = Comparison(nova, host, cfg.CONF.scheduler.down_after)
        found.append(Loop(f'comparison with Nova by {host}', conf.compare_interval, comparison.run))
    return found
