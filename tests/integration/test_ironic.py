# SPDX-License-Identifier: Apache-2.0
"""Nodes of a real Ironic (fake hardware) get slices with their deployment and lose them, erased, with their cleaning."""

import json
import pathlib
import socket
import subprocess
import tempfile
import unittest
from typing import Any

from tests.support import guest, memory
from tools.bench import service
from tools.integration import ironic

MARKER = b'the former tenant was here; '
#: A tenant's program: fills its memory with the marker, and stays.
FILL = ('size = 32 << 20; p = c.allocate(size); c.write(p, (b"the former tenant" + b" was here; ") * (size // 28)); '
        'print(c.read(p, 28).decode(), flush=True); sys.stdin.read()')
#: The next tenant's: reads all that there is.
LOOK = ('p = c.allocate(512 << 20); '
        'print("clean:", not any(any(c.read(p + (i << 24), 1 << 24)) for i in range(32)))')


def setUpModule() -> None:
    ironic.install()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])


class Nodes(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        running = service.running()
        cls.service = running.__enter__()
        cls.addClassCleanup(running.__exit__, None, None, None)
        cls.endpoint = json.loads((cls.service.place / 'state/endpoint.json').read_text())
        password = (cls.service.place / 'state/password').read_text().strip()
        cls.place = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix='accelpool-ironic-')))
        cls.ironic = ironic.Ironic(cls.place, free_port(), (
            f'auth_type = http_basic\nendpoint = {cls.endpoint["url"]}\nusername = admin\npassword = {password}\n'
            f'endpoint_override = {cls.endpoint["url"]}\n'))
        cls.addClassCleanup(cls.ironic.stop)
        cls.number = 0

    def node(self) -> str:
        type(self).number += 1
        return self.ironic.enrol(f'bm-{self.number}')

    def deployed(self, profile: str = 'small') -> str:
        node = self.node()
        self.ironic.name_profile(node, profile)
        self.ironic.to(node, 'active', 'active')
        return node

    def cli(self, *arguments: str) -> Any:
        result = subprocess.run(self.service.accelpool(*arguments, '-f', 'json'), env=self.service.environment,
                                cwd=guest.ROOT, text=True, capture_output=True, timeout=60)
        self.assertEqual(0, result.returncode, result.stderr)
        return json.loads(result.stdout)

    def held(self, node: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.cli('allocation', 'list', '--consumer-id', node, '--long')
        return found

    def program(self, node: str) -> guest.Guest:
        """What runs on a node: accelpool-guest with an account, for the node's allocation."""
        made = guest.Guest(
            pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix='accelpool-node-'))), '',
            f'[account]\nendpoint = {self.endpoint["url"]}\nusername = admin\n'
            f'password_file = {self.service.place}/state/password\n[allocation]\nid = {self.held(node)[0]["id"]}\n')
        self.addCleanup(made.stop)
        made.start()
        made.wait()
        return made

    def test_deployment_binds_and_tearing_down_releases(self) -> None:
        node = self.deployed()
        found = self.held(node)
        self.assertEqual([('active', 'node', 'small')],
                         [(one['state'], one['consumer_type'], one['profile']) for one in found])
        self.assertEqual('right', self.program(node).compute())
        self.ironic.to(node, 'deleted', 'available')
        self.assertEqual([], self.held(node))
        self.assertNotIn('accelpool_allocation', self.ironic.node(node)['driver_internal_info'])

    def test_node_without_a_profile_gets_nothing(self) -> None:
        node = self.node()
        self.ironic.to(node, 'active', 'active')
        self.assertEqual([], self.held(node))
        self.ironic.to(node, 'deleted', 'available')

    def test_deployment_fails_where_there_is_no_slice_and_says_why(self) -> None:
        node = self.node()
        self.ironic.name_profile(node, 'no-such-profile')
        failed = self.ironic.to(node, 'active', 'deploy failed')
        self.assertIn('no-such-profile', failed['last_error'])
        self.ironic.name_profile(node, 'small')
        self.ironic.to(node, 'active', 'active')
        self.assertEqual(1, len(self.held(node)))
        self.ironic.to(node, 'deleted', 'available')
        self.assertEqual([], self.held(node))

    def test_template_names_the_profile(self) -> None:
        self.ironic.call('POST', '/deploy_templates', {'name': 'CUSTOM_SLICE', 'steps': [{
            'interface': 'deploy', 'step': 'accelpool_bind', 'args': {'profile': 'small'}, 'priority': 90}]})
        node = self.node()
        self.ironic.call('PUT', f'/nodes/{node}/traits', {'traits': ['CUSTOM_SLICE']})
        self.ironic.call('PATCH', f'/nodes/{node}', [
            {'op': 'add', 'path': '/instance_info/traits', 'value': ['CUSTOM_SLICE']}])
        self.ironic.to(node, 'active', 'active')
        self.assertEqual(['small'], [one['profile'] for one in self.held(node)])
        self.ironic.to(node, 'deleted', 'available')

    def test_cleaning_finds_what_others_bound_to_the_node(self) -> None:
        node = self.node()
        self.cli('allocation', 'create', '--profile', 'small', '--consumer-type', 'node', '--consumer-id', node, '--wait')
        self.ironic.to(node, 'manage', 'manageable')
        self.ironic.to(node, 'clean', 'manageable',
                       clean_steps=[{'interface': 'deploy', 'step': 'accelpool_release'}])
        guest.until(lambda: not self.held(node), 'released')

    def test_conductor_that_dies_makes_no_second_allocation(self) -> None:
        node = self.deployed()
        before = [one['id'] for one in self.held(node)]
        self.ironic.kill()
        self.ironic.start()
        self.ironic.to(node, 'rebuild', 'active')
        self.assertEqual(before, [one['id'] for one in self.held(node)])
        self.ironic.to(node, 'deleted', 'available')
        self.assertEqual([], self.held(node))

    def test_service_that_is_away_keeps_a_node_from_being_handed_on(self) -> None:
        node = self.deployed()
        self.service.process.kill()
        self.service.process.wait()
        failed = self.ironic.to(node, 'deleted', 'clean failed')
        self.assertIn('accelpool does not answer', failed['last_error'])
        self.service.start()
        self.ironic.to(node, 'manage', 'manageable')
        self.ironic.to(node, 'provide', 'available')
        self.assertEqual([], self.held(node))

    def test_former_tenants_bytes_are_nowhere_when_the_node_is_available_again(self) -> None:
        node = self.deployed()
        here = self.program(node)
        variables = dict(line.split('=', 1) for line in (here.run_dir / 'environment').read_text().splitlines())
        tenant = subprocess.Popen(
            ['python3', '-c', f'import sys; sys.path.insert(0, "examples"); import cuda_driver as c; c.start(); {FILL}'],
            cwd=guest.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**self.service.environment, **variables, 'ACCELPOOL_ATTACHMENT': str(here.attachment)})
        assert tenant.stdin and tenant.stdout
        self.addCleanup(tenant.stdout.close)
        self.addCleanup(tenant.kill)
        self.assertEqual(MARKER.decode(), tenant.stdout.readline().rstrip('\n'))
        kept = self.service.place / 'state'
        hosts = memory.family(self.service.process.pid)
        self.assertTrue(memory.holders(MARKER, hosts, kept), 'the search does not find what is there')
        tenant.stdin.close()
        self.assertEqual(0, tenant.wait(60))
        here.stop()
        self.ironic.to(node, 'deleted', 'available')
        self.assertEqual([], memory.holders(MARKER, memory.family(self.service.process.pid), kept, pathlib.Path('/dev/shm')))
        self.ironic.name_profile(node, 'small')
        self.ironic.to(node, 'active', 'active')
        self.assertEqual('clean: True', self.program(node).python(LOOK))
        self.ironic.to(node, 'deleted', 'available')


if __name__ == '__main__':
    unittest.main()
