# SPDX-License-Identifier: Apache-2.0
"""The devstack plugin's own functions, against real Keystone, Placement, RabbitMQ and MariaDB (tools/devstack_harness)."""

import configparser
import os
import pathlib
import socket
import subprocess
import tempfile
import unittest

import requests
from keystoneauth1 import adapter

from tests.integration import support
from tests.integration.support import client, placement
from tests.support import guest
from tools.integration import bus, databases, identity, layout, pool

REGION = 'devstack'
HARNESS = guest.ROOT / 'tools/devstack_harness/functions.sh'


def setUpModule() -> None:
    placement.up()
    support.up()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])


class Plugin(unittest.TestCase):
    """Installed once, as `stack.sh` does; the tests look at what there is then, and at the end it is cleaned."""

    @classmethod
    def setUpClass(cls) -> None:
        # One pool at a time in one Placement.
        for service in (*pool.SCHEDULER.values(), *pool.CONDUCTOR.values()):
            service.stop()
        cls.addClassCleanup(support.up)
        cls.place = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix='accelpool-devstack-')))
        cls.port, cls.vendordata = free_port(), free_port()
        cls.environment = {
            **os.environ, **identity.openrc(), 'OS_REGION_NAME': layout.REGION, 'HARNESS': str(cls.place),
            'KEYSTONE_URL': layout.url('keystone'), 'DATABASE_URL': layout.database('').partition('?')[0].rstrip('/'),
            'DATABASE_ADMIN': f'mariadb --no-defaults -S {databases.SOCKET} -u root',
            'BUS_URL': layout.bus().rstrip('/'), 'ACCELPOOL_VHOST': bus.VHOST,
            'BIN': str(layout.OURS / 'bin'), 'SERVICE_PASSWORD': layout.PASSWORD, 'REGION_NAME': REGION,
            'HOSTNAME': 'compute1', 'ACCELPOOL_DIR': str(guest.ROOT), 'ACCELPOOL_CONF_DIR': str(cls.place / 'etc'),
            'ACCELPOOL_URL': f'http://127.0.0.1:{cls.port}', 'API_PORT': str(cls.port),
            'ACCELPOOL_VENDORDATA_PORT': str(cls.vendordata), 'ACCELPOOL_AGENT_PORT': str(free_port()),
            'PYTHONPATH': str(guest.ROOT), 'PATH': f'{layout.VENV}/bin:{layout.OURS}/bin:{os.environ["PATH"]}',
        }
        cls.plugin('openstack region show devstack >/dev/null 2>&1 || openstack region create devstack; '
                   'openstack endpoint list --region devstack -f value -c ID | xargs -r openstack endpoint delete; '
                   'for service in placement compute; do get_or_create_endpoint $service devstack '
                   f'$(openstack endpoint list --service $service --interface public --region {layout.REGION} '
                   '-f value -c URL); done')
        cls.phase('stack', 'post-config')
        cls.addClassCleanup(cls.clean)
        cls.addClassCleanup(cls.phase, 'unstack')
        cls.phase('stack', 'extra')
        client.keystone.cache_clear()  # tokens from before have the catalogue of before
        guest.until(lambda: cls.answers(cls.port, '/v1'), 'the API answers')

    @classmethod
    def plugin(cls, script: str) -> str:
        """Run a script that has the plugin's functions."""
        done = subprocess.run(
            ['bash', '-euc', f'. {HARNESS}; cd devstack; . ./settings; . ./plugin.sh "" ""; cd ..; {script}'],
            cwd=guest.ROOT, env=cls.environment, text=True, capture_output=True, timeout=300)
        if done.returncode:
            logs = '\n'.join(f'{path.name}: {path.read_text()[-2000:]}' for path in cls.place.glob('*.log'))
            raise AssertionError(f'{done.stdout}{done.stderr}\n{logs}')
        return done.stdout

    @classmethod
    def phase(cls, *words: str) -> None:
        cls.plugin(f'export OS_REGION_NAME={REGION if words == ("stack", "extra") else layout.REGION}; '
                   f'accelpool_phase {words[0]} "{"".join(words[1:])}"')

    @classmethod
    def clean(cls) -> None:
        """What `clean.sh` does; nothing of the plugin's is left."""
        cls.phase('clean')
        left = sorted(path.name for path in cls.place.iterdir() if path.suffix not in {'.log', '.conf'})
        if left != ['data', 'rabbitmqctl'] or any((cls.place / 'data').iterdir()):
            raise AssertionError(f'left behind: {left}')

    @staticmethod
    def answers(port: int, path: str) -> int | None:
        try:
            return requests.get(f'http://127.0.0.1:{port}{path}', timeout=10).status_code
        except requests.ConnectionError:
            return None

    def in_region(self, kind: str, microversion: str | None = None) -> adapter.Adapter:
        return adapter.Adapter(client.keystone('admin', 'admin'), service_type=kind, interface='public',
                               region_name=REGION, default_microversion=microversion)

    def test_both_apis_are_in_the_catalogue_and_serve(self) -> None:
        devices = self.in_region('accelpool').get('/devices').json()['devices']
        self.assertEqual({'compute1'}, {one['host'] for one in devices})
        self.assertEqual(2, len(devices))
        self.assertEqual([], self.in_region('accelerator').get('/device_profiles').json()['device_profiles'])

    def test_pool_is_registered_in_placement(self) -> None:
        found = self.in_region('placement', '1.18').get('/resource_providers?required=CUSTOM_OWNER_ACCELPOOL').json()
        self.assertTrue(found['resource_providers'])

    def test_vendordata_wants_a_token(self) -> None:
        self.assertEqual(401, guest.until(lambda: self.answers(self.vendordata, '/'), 'vendordata answers'))
        nova = configparser.RawConfigParser()
        nova.read(self.place / 'nova.conf')
        self.assertEqual(f'accelpool@http://127.0.0.1:{self.vendordata}', nova['api']['vendordata_dynamic_targets'])

    def test_slice_for_a_process(self) -> None:
        api = self.in_region('accelpool')
        found = api.post('/allocations', json={'compute': 10, 'memory': 64}, raise_exc=False).json()
        guest.until(lambda: api.get(f'/allocations/{found["id"]}').json()['state'] == 'active', 'active')
        api.delete(f'/allocations/{found["id"]}')

    def test_samples_and_virtual_host(self) -> None:
        self.assertIn('[enrolment]', (self.place / 'etc/accelpool.conf.sample').read_text())
        self.assertIn('accelpool:allocation:enrol', (self.place / 'etc/policy.yaml.sample').read_text())
        self.assertIn(f'set_permissions -p {bus.VHOST}', (self.place / 'rabbitmqctl').read_text())


class Scripts(unittest.TestCase):
    def test_units_are_units(self) -> None:
        units = sorted(str(path) for path in (guest.ROOT / 'etc/systemd').glob('*.service'))
        self.assertGreaterEqual(len(units), 6)
        checked = subprocess.run(['systemd-analyze', 'verify', '--man=no', *units], text=True, capture_output=True)
        ours = [line for line in checked.stderr.splitlines() if 'accelpool' in line and 'not executable' not in line]
        self.assertEqual([], ours)


if __name__ == '__main__':
    unittest.main()
