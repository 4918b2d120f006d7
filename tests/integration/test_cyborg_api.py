# SPDX-License-Identifier: Apache-2.0
"""Cyborg's clients against ``/v2``: openstacksdk's accelerator proxy and ``openstack accelerator``."""

import contextlib
import io
import json
import os
import pathlib
import subprocess
import unittest
import uuid
from typing import Any
from unittest import mock

import openstack
from openstack import exceptions
from openstackclient import shell

from tests.integration import support
from tests.integration.support import client
from tools.integration import identity, layout, packages, process

setUpModule = support.up

GROUPS = [{'resources:CUSTOM_ACCELPOOL_COMPUTE': '10', 'resources:CUSTOM_ACCELPOOL_MEMORY_MIB': '64'}]


def name() -> str:
    return f'cyborg-{uuid.uuid4()}'


def accelerator() -> Any:
    """Return openstacksdk's proxy, as an administrator."""
    return openstack.connection.Connection(
        session=client.keystone('admin', 'admin'), region_name=layout.REGION, accelerator_api_version='2').accelerator


class Sdk(unittest.TestCase):
    """The proxy's methods.

    Two of them Cyborg does not understand either: ``patch_deployable`` asks for a path that there is not, and
    ``create_attribute`` puts an object around what is to be created.
    """

    def setUp(self) -> None:
        self.proxy = accelerator()

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


class Commands:
    """``openstack accelerator``: every command, of whichever package has them."""

    def openstack(self, *words: str) -> tuple[int, str, str]:
        """Run ``openstack``; returns its status, what it printed, and what it said of mistakes."""
        raise NotImplementedError

    def run_command(self: Any, *words: str, right: bool = True) -> Any:
        """Run a command; returns what it printed, parsed if it is JSON."""
        status, text, mistakes = self.openstack('accelerator', *words)
        self.assertEqual(right, status == 0, f'{words}: {mistakes}')
        return json.loads(text) if '-f' in words and right else text or mistakes

    def test_profiles_and_requests(self: Any) -> None:
        mine = name()
        self.run_command('device', 'profile', 'create', mine, json.dumps(GROUPS))
        self.assertIn(mine, [one['name'] for one in self.run_command('device', 'profile', 'list', '-f', 'json')])
        made = self.run_command('arq', 'create', mine, '-f', 'json')
        self.assertEqual('Initial', made['state'])
        self.assertEqual(mine, self.run_command('arq', 'show', made['uuid'], '-f', 'json')['device_profile_name'])
        self.assertIn(made['uuid'], [one['uuid'] for one in self.run_command('arq', 'list', '-f', 'json')])
        for words in (('bind', made['uuid'], 'compute1', str(uuid.uuid4()), str(uuid.uuid4())),
                      ('unbind', made['uuid'])):
            self.run_command('arq', *words, right=False)  # Nova alone does
        self.run_command('arq', 'delete', made['uuid'])
        self.run_command('device', 'profile', 'delete', mine)

    def test_inventory(self: Any) -> None:
        device = self.run_command('device', 'list', '-f', 'json')[0]['uuid']
        self.assertEqual(device, self.run_command('device', 'show', device, '-f', 'json')['uuid'])
        self.run_command('device', 'disable', device)
        self.run_command('device', 'enable', device)
        deployable = self.run_command('deployable', 'list', '-f', 'json')[0]
        identifier = next(value for key, value in deployable.items() if key in {'uuid', 'id'})
        self.assertEqual(
            deployable['name'], self.run_command('deployable', 'show', identifier, '-f', 'json')['name'])
        self.run_command('deployable', 'program', identifier, str(uuid.uuid4()), right=False)  # no FPGA
        number = next(iter(accelerator().deployables())).device_id
        made = accelerator().post('/attributes', json={'deployable_id': number, 'key': 'rack', 'value': 'r7'}).json()
        self.run_command(  # what the command asks for, Cyborg does not understand either
            'device', 'attribute', 'create', str(number), 'rack', 'r8', right=False)
        self.assertIn(made['uuid'], [one['uuid'] for one in self.run_command('device', 'attribute', 'list', '-f', 'json')])
        self.assertEqual('r7', self.run_command('device', 'attribute', 'show', made['uuid'], '-f', 'json')['value'])
        self.run_command('device', 'attribute', 'delete', made['uuid'])
        self.run_command('device', 'attribute', 'show', made['uuid'], right=False)


class OpenStackClient(Commands, unittest.TestCase):
    """python-openstackclient, which has had the commands since its release 10."""

    def openstack(self, *words: str) -> tuple[int, str, str]:
        out, mistakes = io.StringIO(), io.StringIO()
        with mock.patch.dict(os.environ, identity.openrc()), contextlib.redirect_stdout(out), \
                contextlib.redirect_stderr(mistakes):
            status = shell.main(list(words))
        return status, out.getvalue(), mistakes.getvalue()


class CyborgClient(Commands, unittest.TestCase):
    """python-cyborgclient, beside the last python-openstackclient that leaves the commands to it."""

    venv: pathlib.Path

    @classmethod
    def setUpClass(cls) -> None:
        cls.venv = packages.install('cyborgclient', 'python-cyborgclient==3.0.0', 'python-openstackclient==9.0.1')

    def openstack(self, *words: str) -> tuple[int, str, str]:
        done = subprocess.run([self.venv / 'bin/openstack', *words], capture_output=True, text=True,
                              env=process.environment() | identity.openrc())
        return done.returncode, done.stdout, done.stderr
