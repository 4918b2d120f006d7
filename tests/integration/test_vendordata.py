# SPDX-License-Identifier: Apache-2.0
"""Real Nova, its metadata service and its config drives: a guest learns from them where to enrol, and does."""

import base64
import hashlib
import hmac
import json
import pathlib
import subprocess
import tempfile
import unittest
from typing import Any

import requests

from tests.integration import support
from tests.integration.support import client
from tests.integration.support.nova import Cloud
from tests.support import guest
from tools.integration import compute, layout


def setUpModule() -> None:
    support.up('compute')


#: Makes the files of an instance's config drive with Nova's own code, as nova-compute does before it boots a guest.
DRIVE = """
import sys
import nova.conf
from nova import config, objects
from nova.api.metadata import base
from nova.virt import configdrive

config.parse_args(['nova', '--config-file', sys.argv[1]])
objects.register_all()
with configdrive.ConfigDriveBuilder(instance_md=base.get_metadata_by_instance_id(sys.argv[2], None)) as drive:
    drive._write_md_files(sys.argv[3])
"""


class Vendordata(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.cloud = Cloud()
        cls.instance = cls.cloud.boot(cls.cloud.flavor('plain'))
        cls.addClassCleanup(cls.cloud.delete, cls.instance)
        cls.cloud.wait(cls.instance, 'ACTIVE')

    def setUp(self) -> None:
        self.project = client.keystone('admin', 'admin').get_project_id()

    def allocate(self, user: str = 'admin', project: str = 'admin') -> str:
        pool = client.Client(user, project)
        found = pool.allocate(consumer_type='instance', consumer_id=self.instance)['id']
        self.addCleanup(pool.release, found)
        pool.wait(found, 'active')
        return str(found)

    def metadata(self, instance: str) -> Any:
        """Ask Nova's metadata service as Neutron's proxy does for a guest."""
        def document() -> Any:
            answer = requests.get(f'{layout.url("nova-metadata")}/openstack/latest/vendor_data2.json', timeout=30, headers={
                'X-Instance-ID': instance, 'X-Tenant-ID': self.project, 'X-Forwarded-For': '10.0.0.5',
                'X-Instance-ID-Signature': hmac.new(layout.PASSWORD.encode(), instance.encode(),
                                                    hashlib.sha256).hexdigest()})
            return answer.json() if answer.status_code == 200 else None
        return guest.until(document, 'an answer of the metadata service')

    def post(self, user: str, body: Any, project: str = 'service') -> requests.Response:
        headers = {} if user == 'nobody' else {'X-Auth-Token': client.keystone(user, project).get_token()}
        return requests.post(compute.VENDORDATA, data=body if isinstance(body, str) else json.dumps(body),
                             headers=headers, timeout=30)

    def ask(self, user: str = 'nova', project: str = 'service', **changes: Any) -> requests.Response:
        return self.post(user, {'project-id': self.project, 'instance-id': self.instance, 'image-id': None,
                                'user-data': base64.b64encode(b'x' * 65535).decode(), 'hostname': 'guest',
                                'metadata': {}, 'boot-roles': 'member'} | changes, project)

    def guest(self, **options: str) -> guest.Guest:
        place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix='accelpool-guest-')))
        made = guest.Guest(place, options.get('metadata', ''),
                           ''.join(f'{name} = {value}\n' for name, value in options.items() if name != 'metadata'))
        self.addCleanup(made.stop)
        return made

    def test_instance_without_slices_is_told_nothing(self) -> None:
        self.assertEqual({}, self.ask().json())

    def test_only_services_are_told(self) -> None:
        self.allocate()
        self.assertEqual(401, self.ask('nobody').status_code)
        self.assertEqual(403, self.ask('demo', 'demo').status_code)
        told = self.ask()
        self.assertEqual((200, 'no-store'), (told.status_code, told.headers['Cache-Control']))
        self.assertEqual(self.instance, told.json()['accelpool']['consumer'])

    def test_each_answer_has_a_fresh_token_and_no_credential(self) -> None:
        allocation = self.allocate()
        first, second = self.ask(), self.ask()
        self.assertNotEqual(first.json()['accelpool']['token'], second.json()['accelpool']['token'])
        self.assertNotIn(allocation, first.text)
        self.assertNotIn('v2:', first.text)

    def test_what_another_project_wrote_the_instances_name_on_does_not_count(self) -> None:
        self.allocate('other', 'other')
        self.assertEqual({}, self.ask().json())

    def test_bad_requests(self) -> None:
        for body in ('', '[]', '{', {'instance-id': self.instance}, {'instance-id': 'x', 'project-id': 'y'}):
            with self.subTest(body):
                self.assertEqual(400, self.post('nova', body).status_code)
        self.assertEqual(413, self.post('nova', 'x' * (2**20 + 1)).status_code)
        token = client.keystone('nova', 'service').get_token()
        self.assertEqual(405, requests.get(compute.VENDORDATA, headers={'X-Auth-Token': token}, timeout=30).status_code)

    def test_it_says_whether_it_works_and_how_fast(self) -> None:
        self.ask()
        health = requests.get(f'{compute.VENDORDATA}/healthcheck', timeout=30)
        self.assertEqual((200, 'database'), (health.status_code, health.text.strip()))
        self.assertRegex(requests.get(f'{compute.VENDORDATA}/metrics', timeout=30).text,
                         r'accelpool_api_request_seconds_count\{method="POST",route="/",status="200"\} [1-9]')

    def test_guest_enrols_from_the_config_drive_that_nova_makes(self) -> None:
        self.allocate()
        drive = self.enterContext(tempfile.TemporaryDirectory(prefix='accelpool-drive-'))
        made = subprocess.run(
            [str(layout.VENV / 'bin/python'), '-c', DRIVE, str(layout.ETC / 'nova/nova.conf'), self.instance, drive],
            text=True, capture_output=True, timeout=120)
        self.assertEqual(0, made.returncode, made.stderr)
        written = json.loads(pathlib.Path(drive, 'openstack/latest/vendor_data2.json').read_text())
        self.assertEqual(layout.url('accelpool'), written['accelpool']['accelpool']['url'])
        here = self.guest(config_drive=drive)
        here.start()
        here.wait()
        self.assertEqual('right', here.compute())

    def test_guest_of_a_flavor_with_a_profile_enrols_from_the_metadata_service(self) -> None:
        instance = self.cloud.boot(self.cloud.flavor('remote', self.cloud.profile(
            'remote', {'accel:compute': '10', 'accel:memory': '256'})))
        self.addCleanup(self.cloud.delete, instance)
        self.cloud.wait(instance, 'ACTIVE')
        self.assertEqual(['REMOTE'], [arq['attach_handle_type'] for arq in self.cloud.arqs(instance)])
        served = guest.Metadata()  # where a guest finds it: Neutron's proxy adds the headers on the way
        self.addCleanup(served.close)
        served.document = self.metadata(instance)
        here = self.guest(metadata=served.url)
        here.start()
        here.wait()
        self.assertEqual('right', here.compute())
        self.cloud.delete(instance)
        here.stop()


if __name__ == '__main__':
    unittest.main()
