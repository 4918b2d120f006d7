# SPDX-License-Identifier: Apache-2.0
"""``accelpool-guest`` on a node, with an application credential of a real Keystone."""

import pathlib
import tempfile
import unittest
import uuid

from keystoneauth1 import adapter

from tests.integration import support
from tests.integration.support import client
from tests.support import guest
from tools.integration import layout


def setUpModule() -> None:
    support.up()


class Node(unittest.TestCase):
    def test_application_credential(self) -> None:
        session = client.keystone('demo', 'demo')
        keystone = adapter.Adapter(session, service_type='identity', interface='public', region_name=layout.REGION,
                                   endpoint_override=layout.url('keystone', '/v3'))
        name = f'node-{uuid.uuid4().hex[:8]}'
        path = f'/users/{session.get_user_id()}/application_credentials'
        made = keystone.post(path, json={'application_credential': {'name': name, 'roles': [{'name': 'member'}]}})
        credential = made.json()['application_credential']
        self.addCleanup(keystone.delete, f'{path}/{credential["id"]}')
        client.Client('admin', 'admin').ask('POST', '/profiles', {'name': name, 'compute': 10, 'memory': 64})
        place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix='accelpool-node-')))
        secret = layout.write(place / 'secret', credential['secret'], 0o600)
        here = guest.Guest(place, '', (
            f'[account]\nauth_url = {layout.url("keystone", "/v3")}\nregion = {layout.REGION}\n'
            f'application_credential_id = {credential["id"]}\napplication_credential_secret_file = {secret}\n'
            f'[allocation]\nprofile = {name}\nttl = 60\n'))
        self.addCleanup(here.stop)
        here.start()
        held = here.wait()['allocations'][0]['id']
        self.assertEqual('right', here.compute())
        here.stop()
        self.assertIn(held, here.call('release').stdout)
        client.Client('demo', 'demo').wait(held, 'released')


if __name__ == '__main__':
    unittest.main()
