# SPDX-License-Identifier: Apache-2.0
"""The translator as the agent's child: modules for workers, cached, by a process that is nobody."""

import os
import pathlib
import signal
import stat
import subprocess
import sys
import unittest

from accelpool.remoting.agent import packets
from tests.support.agent import ROOT, Agent, Session, wait_for

PTX = '.version 7.0 .target sm_70 .address_size 64 .visible .entry {name}() {{ {body} ret; }}'
INVALID_PTX = 218  # CUDA_ERROR_INVALID_PTX


def translators(agent: Agent) -> list[int]:
    """Return the process ids of an agent's translators."""
    children = pathlib.Path(f'/proc/{agent.process.pid}/task/{agent.process.pid}/children').read_text().split()
    return [int(child) for child in children
            if b'accelpool.drivers.mock.ptx' in pathlib.Path(f'/proc/{child}/cmdline').read_bytes()]


class Translating(unittest.TestCase):

    def setUp(self) -> None:
        self.agent = Agent(self)
        self.agent.bind()
        self.session = self.agent.session()

    def translate(self, session: Session, name: str = 'work', body: str = '') -> tuple[int, int, str]:
        """Return (CUresult, how many descriptors came, log)."""
        session.send('translate ' + PTX.format(name=name, body=body))
        word, kind, number, status, _, count, *log = session.hear().split(' ', 6)
        self.assertEqual((word, int(kind), int(number)), ('agent', packets.TRANSLATE, 77))
        return int(status), int(count), ' '.join(log)

    def test_it_starts_when_first_needed_and_stays(self) -> None:
        self.assertEqual(translators(self.agent), [])
        self.assertEqual(self.translate(self.session)[:2], (0, 1))
        self.assertEqual(self.translate(self.agent.session())[:2], (0, 1))
        self.assertEqual(len(translators(self.agent)), 1)
        self.assertEqual(len(list((self.agent.place / 'translator').glob('*.so'))), 1)

    def test_what_it_does_not_know_is_named(self) -> None:
        status, count, log = self.translate(self.session, body='frobnicate.u32 %r1;')
        self.assertEqual((status, count), (INVALID_PTX, 0))
        self.assertIn('frobnicate', log)

    def test_killed_it_comes_again(self) -> None:
        self.translate(self.session)
        os.kill(translators(self.agent)[0], signal.SIGKILL)
        wait_for(lambda: self.translate(self.session, 'other')[0] == 0, 'another translator')

    def test_a_session_that_dies_while_it_waits_disturbs_nobody(self) -> None:
        gone = self.agent.session()
        gone.send('translate ' + PTX.format(name='gone', body=''))
        gone.close()
        self.assertEqual(self.translate(self.session, 'here')[:2], (0, 1))
        self.assertEqual(self.translate(self.session, 'there')[:2], (0, 1))

    def test_too_many_at_a_time_end_the_session(self) -> None:
        greedy = self.agent.session()
        greedy.send('\n'.join('translate ' + PTX.format(name=f'k{n}', body='') for n in range(40)))
        try:
            while greedy.hear():
                pass
        finally:
            self.assertEqual(self.translate(self.session)[0], 0)

    @unittest.skipUnless(os.geteuid() == 0, 'needs root')
    def test_it_is_nobody_else_and_alone_in_its_cache(self) -> None:
        self.translate(self.session)
        status = pathlib.Path(f'/proc/{translators(self.agent)[0]}/status').read_text()
        fields = dict(line.split(':\t', 1) for line in status.splitlines())
        uid = int(fields['Uid'].split()[0])
        self.assertNotIn(uid, {0, self.session.facts()['uid']})
        self.assertEqual((fields['NoNewPrivs'], int(fields['CapEff'], 16)), ('1', 0))
        found = os.stat(self.agent.place / 'translator')
        self.assertEqual((found.st_uid, stat.S_IMODE(found.st_mode)), (uid, 0o700))

    @unittest.skipUnless(os.geteuid() == 0, 'needs root')
    def test_the_cache_outlives_the_agent(self) -> None:
        self.translate(self.session)
        before = {path.name: path.stat().st_ino for path in (self.agent.place / 'translator').glob('*.so')}
        self.agent.stop()
        agent = Agent(self, place=self.agent.place)
        agent.bind()
        self.assertEqual(self.translate(agent.session())[0], 0)
        after = {path.name: path.stat().st_ino for path in (agent.place / 'translator').glob('*.so')}
        self.assertEqual(before, after)

    @unittest.skipUnless(os.geteuid() == 0, 'needs root')
    def test_a_package_where_its_uid_cannot_go(self) -> None:
        """As in a clone below /root: everything is read before the privileges go."""
        hidden = self.agent.place / 'hidden'
        hidden.mkdir(mode=0o700)
        subprocess.run(['cp', '-r', ROOT / 'accelpool', hidden], check=True)
        code = ('import accelpool, pathlib, sys; sys.argv[0] = "accelpool-agent"; '
                'from accelpool.cmd.agent import main; sys.exit(main())')
        agent = Agent(self, command=[sys.executable, '-P', '-c', f'import sys; sys.path.insert(0, {str(hidden)!r}); '
                                     + code])
        agent.bind()
        self.assertEqual(self.translate(agent.session())[:2], (0, 1))
