# SPDX-License-Identifier: Apache-2.0
"""Instances that nobody boots: their accelerator requests are made, bound and deleted as Nova does it."""

import collections
import datetime
import unittest
import uuid
from typing import Any

import requests

from accelpool.db import candidate, session
from accelpool.placement import names
from tests.integration.support import fault
from tests.integration.support.client import Client, service_token
from tools.integration import layout

PROFILE = 'of-a-test'
#: How many instances there are at a time.
KEPT = 3


class Instances:
    """``/v2`` as Nova asks it for the instances of one user.  Make it inside :func:`accounts.connected`.

    Nova does not know these instances, and what they have is given back half a minute later where Nova is asked: in an
    environment with Nova let it rest.
    """

    def __init__(self, case: unittest.TestCase) -> None:
        self._case = case
        url = layout.url('accelpool', '/v2')
        self._user = Client(url=url)
        self._service = service_token()
        made = Client('admin', 'admin', url=url).ask('POST', '/device_profiles', [
            {'name': PROFILE, 'groups': [{'accel:compute': '1', 'accel:memory': '16'}]}])
        case.assertIn(made.status_code, {201, 409}, made.text)
        self._provider = _shared_provider()
        self._asked: list[str] = []  # instances for which a binding was asked for
        self._bound: list[str] = []  # of these, those whose binding was answered
        self._gone: list[str] = []   # of these, those whose end was answered

    def boot(self, *others: int) -> list[requests.Response | None]:
        """Make the request of an instance, and bind it if that went well; returns the answers.

        :param others: statuses that are right for the binding, too
        """
        made = self._ask('POST', '', {'device_profile_name': PROFILE})
        if made is None or made.status_code != 201:
            return [made]
        instance = str(uuid.uuid4())
        self._asked.append(instance)
        fields = {'hostname': layout.COMPUTES[0], 'device_rp_uuid': self._provider, 'instance_uuid': instance}
        bound = self._ask('PATCH', '', {arq['uuid']: [
            {'path': f'/{name}', 'op': 'add', 'value': value} for name, value in fields.items()]
            for arq in made.json()['arqs']}, *others)
        if bound is not None and bound.status_code == 202:
            self._bound.append(instance)
        return [made, bound]

    def step(self, *others: int) -> collections.Counter[str]:
        """One instance comes, one goes; every answer is right, or a good 503.  Counts the answers.

        :param others: statuses that are right for a binding, too
        """
        answers = list(zip(('POST', 'PATCH'), self.boot(*others), strict=False))
        if len(self._bound) > KEPT:
            oldest = self._bound.pop(0)
            gone = self._ask('DELETE', f'?instance={oldest}')
            if gone is not None and gone.status_code == 204:
                self._gone.append(oldest)
            answers.append(('DELETE', gone))
        return collections.Counter(
            f'ARQ {method} {"?" if answer is None else answer.status_code}' for method, answer in answers)

    def settled(self, recovery: fault.Recovery) -> None:
        """What was answered is so: who has got something has it, and who has given it back has nothing."""
        user = Client()
        for instance in self._bound:
            (arq,) = self._arqs(f'?instance={instance}')
            self._case.assertEqual('Bound', arq['state'], arq)
            user.wait(arq['attach_handle_info']['allocation'], 'active', patience=recovery.left)
        for instance in self._gone:
            self._case.assertEqual([], self._arqs(f'?instance={instance}'))

    def end(self) -> None:
        """All instances go, those of which nobody knows whether they have anything, too, and requests without one."""
        for instance in self._asked:
            self._delete(f'?instance={instance}')
        for arq in self._arqs():
            self._delete(f'?arqs={arq["uuid"]}')
        self._case.assertEqual([], self._arqs())

    def _arqs(self, path: str = '') -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._user.get(f'/accelerator_requests{path}')['arqs']
        return found

    def _delete(self, path: str) -> None:
        answer = self._ask('DELETE', path)
        self._case.assertEqual(204, None if answer is None else answer.status_code)

    def _ask(self, method: str, path: str, body: Any = None, *others: int) -> requests.Response | None:
        return fault.right_or_503(
            self._case, self._user, method, f'/accelerator_requests{path}', body, (*fault.RIGHT, *others),
            headers=self._service)


def _shared_provider() -> str:
    """Return what Placement has for the larger emulated devices of all hosts."""
    with session.reader() as reader:
        found = candidate.look(reader, datetime.datetime.min)
    device = next(one for one in found if one.model == 'gpu-emu')
    return names.shared_provider(device.pools, device.vendor, device.model, device.traits, device.modes)
