# SPDX-License-Identifier: Apache-2.0
"""The commands as a user types them, as ``openstack accelpool ...`` and as ``accelpool ...``: the same classes."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
from typing import Any

import yaml

from tools.bench import service

BIN = pathlib.Path(sys.executable).parent
PATIENCE = 60


class Cli(unittest.TestCase):
    running: service.Service

    @classmethod
    def setUpClass(cls) -> None:
        place = tempfile.TemporaryDirectory(prefix='acp-', dir='/tmp')
        cls.addClassCleanup(place.cleanup)
        cls.running = service.Service(pathlib.Path(place.name))
        cls.addClassCleanup(cls.running.stop)

    def run_command(self, *words: str, entry: tuple[str, ...] = ('accelpool',)) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(BIN / entry[0]), *entry[1:], *words], env=self.running.environment, text=True,
                              capture_output=True, timeout=PATIENCE)

    def ok(self, *words: str, entry: tuple[str, ...] = ('accelpool',)) -> str:
        done = self.run_command(*words, entry=entry)
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout

    def json(self, *words: str, entry: tuple[str, ...] = ('accelpool',)) -> Any:
        return json.loads(self.ok(*words, '-f', 'json', entry=entry))

    def test_openstack_shows_the_same(self) -> None:
        for noun in ('device', 'host', 'pool', 'profile', 'driver', 'allocation'):
            with self.subTest(noun):
                here = self.json(noun, 'list')
                self.assertEqual(here, self.json(noun, 'list', entry=('openstack', 'accelpool')))
        self.assertEqual('', self.ok('run', '--profile', 'small', '--', 'true', entry=('openstack', 'accelpool')))

    def test_long_sort_and_limit(self) -> None:
        devices = self.json('device', 'list', '--long', '--sort', 'memory:asc')
        self.assertEqual([16384, 16384, 30720, 30720], [device['memory'] for device in devices])
        self.assertIn('traits', devices[0])
        self.assertEqual(devices[:3], self.json('device', 'list', '--long', '--sort', 'memory:asc', '--limit', '3'))

    def test_quotas(self) -> None:
        shown = self.json('quota', 'set', 'default', '--slices', '1', '--memory', 'unlimited')
        self.assertEqual((1, -1, 'project', 'default'), (
            shown['slices']['limit'], shown['memory']['limit'], shown['memory']['source'], shown['compute']['source']))
        made = self.json('allocation', 'create', '--profile', 'small', '--wait')
        refused = self.run_command('allocation', 'create', '--profile', 'small')
        self.assertEqual(1, refused.returncode)
        self.assertIn("slices: 1 more would be over the project's limit of 1, of which 1 are in use", refused.stderr)
        self.assertEqual(1, self.json('quota', 'list')[0]['slices']['used'])
        self.assertIn('limit=1', self.ok('quota', 'show', 'default', entry=('openstack', 'accelpool')))
        self.ok('allocation', 'delete', made['id'], '--wait')
        shown = self.json('quota', 'set', 'default', '--slices', 'default', '--memory', 'default')
        self.assertEqual({'limit': -1, 'used': 0, 'source': 'default'}, shown['slices'])

    def test_wait_tells_its_progress_on_stderr_alone(self) -> None:
        done = self.run_command('allocation', 'create', '--profile', 'small', '--wait', '-f', 'json')
        made = json.loads(done.stdout)
        self.assertEqual('active', made['state'], done.stderr)
        gone = self.run_command('allocation', 'delete', made['id'], '--wait')
        self.assertEqual((0, ''), (gone.returncode, gone.stdout))
        self.assertIn('released', gone.stderr)

    def test_deleting_several_names_each_that_failed_and_deletes_the_others(self) -> None:
        for name in ('one', 'two'):
            self.ok('profile', 'create', name, '--compute', '5', '--memory', '64')
        done = self.run_command('profile', 'delete', 'one', 'nothing', 'two', 'neither')
        self.assertEqual(1, done.returncode)
        for name in ('nothing', 'neither'):
            self.assertIn(f'{name} does not exist', done.stderr)
        self.assertEqual({'small'}, {profile['name'] for profile in self.json('profile', 'list')})

    def test_a_mistake_is_one_sentence_and_no_traceback(self) -> None:
        for words in (('allocation', 'create', '--profile', 'nosuch'), ('device', 'show', 'nosuch'),
                      ('allocation', 'create', '--compute', '101'), ('device', 'list', '--sort', 'colour'),
                      ('run', '--profile', 'small', '--locality', 'nowhere', '--', 'true'), ('run', '--profile', 'small')):
            with self.subTest(' '.join(words)):
                done = self.run_command(*words)
                self.assertNotEqual(0, done.returncode)
                self.assertNotIn('Traceback', done.stderr)
                self.assertTrue(done.stderr.strip())
                self.assertEqual('', done.stdout)

    def test_an_endpoint_may_name_the_tree(self) -> None:
        clouds = pathlib.Path(self.running.environment['OS_CLIENT_CONFIG_FILE'])
        document = yaml.safe_load(clouds.read_text())
        document['clouds']['accelpool']['auth']['endpoint'] += '/v1'
        other = clouds.with_name('tree.yaml')
        other.write_text(yaml.safe_dump(document))
        done = subprocess.run([str(BIN / 'accelpool'), 'profile', 'list', '-f', 'json'], text=True, capture_output=True,
                              env={**self.running.environment, 'OS_CLIENT_CONFIG_FILE': str(other)}, timeout=PATIENCE)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn('small', [profile['name'] for profile in json.loads(done.stdout)])
