# SPDX-License-Identifier: Apache-2.0
"""Configuration, offers, files and the report of accelpool-guest; what it does as a process is in tests/functional."""

import ast
import json
import pathlib
import stat
import subprocess
import sys
import tempfile
import unittest

from accelpool.runtime import guest
from accelpool.runtime.guest import config, delivery, enrolled, files, loader, offers, report, standing
from tests.support.guest import Metadata

OFFER = {'url': 'http://127.0.0.1:1', 'token': 't', 'consumer': 'vm-1'}


class Place(unittest.TestCase):
    def setUp(self) -> None:
        self.place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix='accelpool-test-')))


#: A keeper that is told to ask again, again and again, wherever it is just then.
STORM = '''
import signal, types
from accelpool.runtime.guest import keeper
one = keeper.Keeper(types.SimpleNamespace(account=None), None)
steps = iter(range(100_000))
def step():
    if next(steps, None) is None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise SystemExit('done')
    return 0.0
one.step = step
signal.signal(signal.SIGALRM, one.refresh)
signal.setitimer(signal.ITIMER_REAL, 4e-4, 4e-4)
one.run()
'''


class Keeping(unittest.TestCase):
    def test_signals_may_come_at_any_moment(self) -> None:
        done = subprocess.run([sys.executable, '-c', STORM], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((1, 'done\n'), (done.returncode, done.stderr[-2000:]))


class Configuration(Place):
    def load(self, text: str) -> config.Config:
        path = self.place / 'guest.conf'
        path.write_text(text)
        return config.load(path)

    def test_nothing_is_needed(self) -> None:
        self.assertEqual(config.Config(), config.load(self.place / 'none'))
        self.assertEqual(config.Config(), self.load(''))
        with self.assertRaisesRegex(config.Invalid, 'does not exist'):
            config.load(self.place / 'none', required=True)

    def test_what_is_wrong_is_named(self) -> None:
        for text, named in (('[guest]\nuser = x', 'user '), ('[gest]', 'gest'), ('[guest]\nloader = magic', 'magic'),
                            ('[account]\nusername = x', 'auth_url'), ('[account]\nendpoint = x', 'profile'),
                            ('[allocation]\nttl = long', 'ttl'), ('no section', 'no section')):
            with self.subTest(text), self.assertRaisesRegex(config.Invalid, named):
                self.load(text)

    def test_secret_that_others_can_read_is_not_used(self) -> None:
        path = self.place / 'secret'
        path.write_text('s3cret\n')
        path.chmod(0o640)
        with self.assertRaisesRegex(config.Invalid, 'chmod 600'):
            config.secret(str(path))
        path.chmod(0o600)
        self.assertEqual('s3cret', config.secret(str(path)))


class Offers(Place):
    def test_found_in_any_of_novas_targets(self) -> None:
        for document in ({'accelpool': OFFER}, {'static': {}, 'x': {'accelpool': {**OFFER, 'later': 1}}}):
            self.assertEqual(offers.Offer(**OFFER), offers.parse(document))
        for document in ({}, [], None, 'x', {'accelpool': {}}, {'accelpool': None}, {'x': {'accelpool': {'url': 'u'}}}):
            self.assertIsNone(offers.parse(document))

    def test_what_was_given_by_hand_comes_first(self) -> None:
        service = Metadata()
        self.addCleanup(service.close)
        service.document = {'pool': {'accelpool': {**OFFER, 'token': 'of the metadata'}}}
        conf = config.Config(state_dir=self.place, metadata=service.url)
        self.assertEqual(['of the metadata'], [offer.token for offer in offers.find(conf)])
        offers.give(conf, offers.Offer(**OFFER))
        self.assertEqual(['t', 'of the metadata'], [offer.token for offer in offers.find(conf)])
        offers.forget_given(conf)
        service.document = None
        self.assertEqual([], list(offers.find(conf)))


class Copies(Place):
    def test_copy_of_the_disk_on_another_machine_has_no_key(self) -> None:
        conf = config.Config(state_dir=self.place, metadata='')
        files.write_json(self.place / 'enrolment.json', {
            'url': 'http://127.0.0.1:1', 'id': 'e', 'key': 'k', 'consumer': 'vm-1', 'machine': 'one'})
        with self.assertRaises(standing.NotNow) as caught:
            enrolled.Enrolled(conf, 'two').fetch()
        self.assertIn('token', str(caught.exception))
        self.assertIn('accelpool-guest enrol', caught.exception.advice)


class Files(Place):
    def test_half_written_files_never_show(self) -> None:
        path = self.place / 'new' / 'file'
        files.write(path, 'one')
        (path.parent / '.file.new').write_text('ha')  # we died here
        self.assertEqual('one', path.read_text())
        files.write(path, 'two', mode=0o644)
        self.assertEqual('two', path.read_text())
        self.assertEqual(0o644, stat.S_IMODE(path.stat().st_mode))
        self.assertEqual(['file'], [entry.name for entry in path.parent.iterdir()])

    def test_damaged_file_is_none(self) -> None:
        for text in ('{"a": ', '[]', ''):
            (self.place / 'f').write_text(text)
            self.assertIsNone(files.read_json(self.place / 'f'))

    def test_attachments_of_users_who_may_not_any_more_go(self) -> None:
        conf = config.Config(run_dir=self.place, users=('0', 'no-such-user'))
        (self.place / '4711.json').write_text('{}')
        delivery.deliver(conf, {'devices': []})
        self.assertEqual(['0.json'], [path.name for path in self.place.iterdir()])
        self.assertEqual(['no-such-user'], delivery.unknown_users(conf))
        delivery.deliver(conf, None)
        self.assertEqual([], list(self.place.iterdir()))

    def test_libraries(self) -> None:
        (self.place / 'cuda').mkdir()
        (self.place / 'cuda/libcuda.so.1').touch()
        conf = config.Config(libraries=self.place)
        self.assertEqual([self.place / 'cuda'], loader.directories(conf, ['cuda', 'cuda']))
        with self.assertRaisesRegex(loader.Missing, 'acl'):
            loader.directories(conf, ['cuda', 'acl'])


class Report(unittest.TestCase):
    ATTACHMENT = {'devices': [{'ordinal': 0, 'interface': 'cuda', 'slice': 's', 'credential': 'SECRET', 'expires': 1100,
                               'urls': [{'url': 'tcp://10.0.0.1:1', 'network': 'default'}]}]}

    def shown(self, attachment: object, *allocations: tuple[str, str]) -> dict[str, object]:
        return report.attached(standing.Standing('vm-1', attachment, [
            {'id': name, 'state': state, 'profile': 'small', 'reason': 'no room'} for name, state in allocations], 1), [])

    def test_no_secret_in_it(self) -> None:
        found = self.shown(self.ATTACHMENT, ('a', 'active'))
        self.assertEqual('attached', found['state'])
        self.assertNotIn('SECRET', json.dumps(found))
        self.assertIn('for 100 s', report.text(found, 1000))
        self.assertIn('no new program', report.text(found, 1200))

    def test_says_why_there_is_nothing(self) -> None:
        for allocations, words in (((), 'nothing is allocated'), ((('a', 'binding'),), 'a is binding'),
                                   ((('a', 'active'), ('b', 'error')), 'b failed: no room')):
            self.assertIn(words, report.text(self.shown(None, *allocations)))


#: What the guest's modules share with the rest of the project.
BESIDE = ('cmd/guest.py', 'runtime/greeting.py', 'remoting/handshake.py')
OURS = {'accelpool.runtime.greeting', 'accelpool.remoting.handshake'}


class Portable(unittest.TestCase):
    def test_standard_library_only_and_syntax_of_python_3_9(self) -> None:
        folder = pathlib.Path(guest.__path__[0])
        package = folder.parents[1]
        for path in (*folder.glob('*.py'), *(package / name for name in BESIDE)):
            tree = ast.parse(path.read_text(), feature_version=(3, 9))
            for node in tree.body:
                names = [f'{node.module}.{alias.name}' for alias in node.names] if isinstance(node, ast.ImportFrom) \
                    else [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                for name in names:
                    self.assertTrue(name.partition('.')[0] in sys.stdlib_module_names or name in OURS
                                    or name.startswith('accelpool.runtime.guest.'), f'{path.name} imports {name}')


if __name__ == '__main__':
    unittest.main()
