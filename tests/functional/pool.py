# SPDX-License-Identifier: Apache-2.0
"""A small pool for tests of the API: real database, real scheduler, and a stand-in for the conductors.

Two hosts with two devices each; profiles ``small`` and ``impossible``.  Messages are delivered at once, in the
caller's thread.
"""

import json
import os
import pathlib
import tempfile
import uuid
from collections.abc import Callable, Iterable
from typing import Any
from unittest import mock

from oslo_config import cfg

from accelpool import conf, errors, policy, types
from accelpool.allocations import states
from accelpool.api import app, registration, resource
from accelpool.db import allocation as db_allocation
from accelpool.db import device as db_device
from accelpool.db import host as db_host
from accelpool.db import models
from accelpool.db import pool as db_pool
from accelpool.db import profile as db_profile
from accelpool.db import service as db_service
from accelpool.db import session as db
from accelpool.db import slice as db_slice
from accelpool.rpc import client, later, transport
from accelpool.scheduler import service
from tests.support import database

#: What a token stands for: project and roles.
TOKENS = {
    'admin': ('project-1', 'admin,member,reader'),
    'member': ('project-1', 'member,reader'),
    'reader': ('project-1', 'reader'),
    'foreign': ('project-2', 'member,reader'),
    'manager': ('project-1', 'manager,member,reader'),
}


class Tokens:
    """Stands where keystonemiddleware stands, and sets the headers that it sets."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        token = environ.get('HTTP_X_AUTH_TOKEN', '')
        if token in TOKENS:
            project, roles = TOKENS[token]
            environ |= {'HTTP_X_IDENTITY_STATUS': 'Confirmed', 'HTTP_X_PROJECT_ID': project,
                        'HTTP_X_USER_ID': f'user-{token}', 'HTTP_X_ROLES': roles}
        else:
            environ['HTTP_X_IDENTITY_STATUS'] = 'Invalid'
        if environ.get('HTTP_X_SERVICE_TOKEN') == 'nova':
            environ |= {'HTTP_X_SERVICE_IDENTITY_STATUS': 'Confirmed', 'HTTP_X_SERVICE_ROLES': 'service'}
        return self._application(environ, start_response)


class Conductor:
    """Marks slices as bound and gives them back; ``dead`` hosts do not answer."""

    dead: frozenset[str] = frozenset({'host-dead'})

    def __init__(self, host: str) -> None:
        self._host = host

    def bind(self, allocation_id: str) -> None:
        if allocation_id in Pool.held:
            return
        with db.writer() as session:
            if db_allocation.get(session, allocation_id).state == states.State.SCHEDULED:
                db_allocation.transition(session, allocation_id, states.Event.BIND)
            db_allocation.bound(
                session, allocation_id,
                [item.id for item in db_slice.of_allocation(session, allocation_id, self._host)])

    def release(self, allocation_id: str) -> None:
        with db.writer() as session:
            for item in db_slice.of_allocation(session, allocation_id, self._host):
                db_allocation.release_slice(session, item.id)

    def attach(self, allocation_id: str) -> list[dict[str, Any]]:
        with db.reader() as session:
            return [
                {'ordinal': item.ordinal, 'slice': item.id, 'interface': 'cuda',
                 'urls': [{'url': 'tcp://127.0.0.3:40001', 'network': 'default'}],
                 'credential': f'v2:{allocation_id}:{uuid.uuid4()}', 'expires': 1900000000}
                for item in db_slice.of_allocation(session, allocation_id, self._host)]

    def holder(self, allocation_id: str) -> dict[str, Any]:
        return {'url': f'unix:///run/{self._host}/data.sock', 'credential': f'v2:{allocation_id}:holder'}

    def route(self, allocation_id: str, urls: list[dict[str, str]]) -> list[list[dict[str, str]]]:
        return [[{**place, 'via': f'unix:///run/{self._host}/data.sock', 'ticket': f'r1:{allocation_id}'}]
                for place in urls]

    def usage(self, allocation_id: str) -> list[dict[str, Any]]:
        if self._host == 'host-b':
            raise errors.AgentUnavailable('the agent of host-b does not answer')
        with db.reader() as session:
            return [{'slice_id': item.id, 'generation': 1, 'sessions': 0, 'allocated_bytes': 0}
                    for item in db_slice.of_allocation(session, allocation_id, self._host)]


class Pool:
    """The application over a temporary database; ``close()`` removes it."""

    #: Allocations with these ids stay ``scheduled``: their conductor never answers.
    held = frozenset({'00000000-0000-4000-8000-00000000dead'})

    def __init__(self, protect: Callable[..., Any] = Tokens) -> None:
        """:param protect: stands where keystonemiddleware stands"""
        self._directory = tempfile.TemporaryDirectory()
        conf.register_all()
        cfg.CONF([], project='accelpool', default_config_files=[], default_config_dirs=[])
        cfg.CONF.set_override('auth_strategy', 'keystone', group='api')
        policy.get_enforcer.cache_clear()
        transport.use_memory()
        transport.get.cache_clear()
        engine = db.configure(os.environ.get(
            'ACCELPOOL_TEST_DATABASE', f'sqlite:///{pathlib.Path(self._directory.name) / "test.sqlite"}'))
        database.erase(engine)
        models.Base.metadata.create_all(engine)
        self._scheduler = service.SchedulerService(Conductor, 60)
        self._patches = [
            mock.patch.object(client, 'ConductorClient', Conductor),
            mock.patch.object(client, 'SchedulerClient', lambda: self._scheduler),
            mock.patch.object(resource, 'check_responses', True),
            mock.patch.object(later, 'cast', lambda send, allocation_id: send(allocation_id)),
            mock.patch.object(later.Batches, 'put', lambda self, one: self._work([one])),
            mock.patch.object(registration, 'ensure'),  # it would come between the rows of a test
        ]
        for patch in self._patches:
            patch.start()
        with db.writer() as session:
            self.variables = self._fill(session)
        self.application = app.make_app(protect)

    def _fill(self, session: Any) -> dict[str, Any]:
        default = db_pool.ensure_default(session)
        variables: dict[str, Any] = {
            'default': default.id,
            'oversized': json.dumps({'name': 'x' * cfg.CONF.api.max_body_size}),
            'nested': '[' * 30000,
        }
        for name in ('host-a', 'host-b'):
            host = db_host.heard_of(session, name, [{'url': 'tcp://127.0.0.3:40001', 'network': 'default'}])
            variables[name.replace('-', '_')] = host.id
            for number, (model, memory) in enumerate((('emu-30', 30720), ('emu-8', 8192))):
                db_device.save(session, host, types.Device(
                    id=f'{name}-{number}', driver='mock', vendor='emulated', model=model, memory=memory,
                    traits=('CUSTOM_EMULATED',), fabric='rack-1', options={'secret': 'of the driver'}))
                db_pool.add_device(session, default, db_device.get(session, f'{name}-{number}'))
            variables[f'service_{name[-1]}'] = db_service.heard_of(
                session, 'accelpool-conductor', name, topic='accelpool.conductor', version='1').id
        db_profile.create(session, name='small', count=1, compute=30, memory=512)
        db_profile.create(session, name='impossible', compute=10, memory=1, traits=['CUSTOM_NOBODY_HAS'])
        return variables

    def close(self) -> None:
        for patch in self._patches:
            patch.stop()
        cfg.CONF.clear_override('auth_strategy', group='api')
        cfg.CONF.clear_override('transport_url')
        transport.get.cache_clear()
        db.engine().dispose()
        self._directory.cleanup()
