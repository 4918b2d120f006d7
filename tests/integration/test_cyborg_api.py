# SPDX-License-Identifier: Apache-2.0
"""Cyborg's clients against ``/v2``: openstacksdk's accelerator proxy and ``openstack accelerator``."""

import contextlib
import io
import json
import os
import unittest
import uuid
from typing import Any
from unittest import mock

import openstack
from openstack import exceptions
from openstackclient import shell

from tests.integration import support
from tests.integration.support import client
from tools.integration import identity, layout

setUpModule = support.up

GROUPS = [{'resources:CUSTOM_ACCELPOOL_COMPUTE': '10', 'resources:CUSTOM_ACCELPOOL_MEMORY_MIB': '64'}]


def name() -> str:
    return f'cyborg-{uuid.uuid4()}'


class Sdk(unittest.TestCase):
    """The proxy's methods.

    Two of them Cyborg does not understand either: ``patch_deployable`` asks for a path that there is not, and
    ``create_attribute`` puts an object around what is to be created.
    """

    def setUp(self) -> None:
        connection = openstack.connection.Connection(
            session=client.keystone('admin', 'admin'), region_name=layout.REGION, accelerator_api_version='2')
        self.proxy = connection.accelerator

    def test_device_profiles(self) -> None:
        made = self.proxy.create_device_profile(name=name(), groups=GROUPS, description='of a test')
        self.addCleanup(self.proxy.delete_device_profile, made.uuid)
        self.assertEqual((GROUPS, 'of a test'), (made.groups, made.description))
        self.assertEqual(made.name, self.proxy.get_device_profile(made.uuid).name)
        self.assertIn(made.uuid, [one.uuid for one in self.proxy.device_profiles()])
        self.proxy.delete_device_profile(made.uuid)
        with self.assertRaises(exceptions.NotFoundException):
            self.proxy.get_device_profile(made.uuid)

    def test_accelerator_requests(self) -> None:
        profile = self.proxy.create_device_profile(name=name(), groups=GROUPS)
        self.addCleanup(self.proxy.delete_device_profile, profile.uuid)
        made = self.proxy.create_accelerator_request(device_profile_name=profile.name)
        self.assertEqual(('Initial', profile.name), (made.state, made.device_profile_name))
        self.assertEqual(made.uuid, self.proxy.get_accelerator_request(made.uuid).uuid)
        self.assertIn(made.uuid, [one.uuid for one in self.proxy.accelerator_requests()])
        with self.assertRaises(exceptions.ForbiddenException):  # Nova alone binds
            self.proxy.patch_accelerator_request(made.uuid, [
                {'path': '/hostname', 'op': 'add', 'value': 'compute1'},
                {'path': '/instance_uuid', 'op': 'add', 'value': str(uuid.uuid4())},
                {'path': '/device_rp_uuid', 'op': 'add', 'value': str(uuid.uuid4())}])
        self.proxy.delete_accelerator_request(made.uuid)
        with self.assertRaises(exceptions.NotFoundException):
            self.proxy.get_accelerator_request(made.uuid)

    def test_devices(self) -> None:
        device = next(iter(self.proxy.devices()))
        self.assertEqual(device.uuid, self.proxy.get_device(device.uuid).uuid)
        self.assertEqual(['compute1'], sorted({one.hostname for one in self.proxy.devices(hostname='compute1')}))
        self.proxy.disable_device(device.uuid)
        self.addCleanup(self.proxy.enable_device, device.uuid)
        shown = client.Client('admin', 'admin').get(f'/devices/{device.uuid}')
        self.assertFalse(shown['enabled'])

    def test_deployables_and_attributes(self) -> None:
        deployable = next(iter(self.proxy.deployables()))
        shown = self.proxy.get_deployable(deployable.id)
        self.assertEqual(deployable.device_id, shown.device_id)
        made = self.proxy.post('/attributes', json={
            'deployable_id': deployable.device_id, 'key': 'rack', 'value': 'r7'}).json()['uuid']
        self.assertEqual('r7', self.proxy.get_attribute(made).value)
        self.assertIn(made, [one.uuid for one in self.proxy.attributes()])
        self.proxy.delete_attribute(made)
        with self.assertRaises(exceptions.NotFoundException):
            self.proxy.get_attribute(made)


class CommandLine(unittest.TestCase):
    """``openstack accelerator``, as python-openstackclient has it."""

    def run_command(self, *words: str, right: bool = True) -> Any:
        """Run a command in this process; returns what it printed, parsed if it is JSON."""
        out, errors = io.StringIO(), io.StringIO()
        with mock.patch.dict(os.environ, identity.openrc()), contextlib.redirect_stdout(out), \
                contextlib.redirect_stderr(errors):
            status = shell.main(['accelerator', *words])
        self.assertEqual(right, status == 0, f'{words}: {errors.getvalue()}')
        text = out.getvalue()
        return json.loads(text) if '-f' in words else text

    def test_profiles_and_requests(self) -> None:
        mine = name()
        self.run_command('device', 'profile', 'create', mine, json.dumps(GROUPS))
        self.assertIn(mine, [one['name'] for one in self.run_command('device', 'profile', 'list', '-f', 'json')])
        made = self.run_command('arq', 'create', mine, '-f', 'json')
        self.assertEqual('Initial', made['state'])
        self.assertEqual(mine, self.run_command('arq', 'show', made['uuid'], '-f', 'json')['device_profile_name'])
        self.assertIn(made['uuid'], [one['uuid'] for one in self.run_command('arq', 'list', '-f', 'json')])
        self.run_command('arq', 'bind', made['uuid'], 'compute1', str(uuid.uuid4()), str(uuid.uuid4()), right=False)
        self.run_command('arq', 'delete', made['uuid'])
        self.run_command('device', 'profile', 'delete', mine)

    def test_inventory(self) -> None:
        device = self.run_command('device', 'list', '-f', 'json')[0]['uuid']
        self.assertEqual(device, self.run_command('device', 'show', device, '-f', 'json')['uuid'])
        self.run_command('device', 'disable', device)
        self.run_command('device', 'enable', device)
        deployable = self.run_command('deployable', 'list', '-f', 'json')[0]
        self.assertEqual(deployable['name'], self.run_command('deployable', 'show', next(
            value for key, value in deployable.items() if key in {'uuid', 'id'}), '-f', 'json')['name'])
        self.assertTrue(self.run_command('device', 'attribute', 'list', '-f', 'json'))
