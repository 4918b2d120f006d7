# SPDX-License-Identifier: Apache-2.0
"""What an agent does for sessions on Ascend chips in particular: the group of the nodes, no sessions on a vNPU."""

import os
import pathlib
import unittest
from typing import Any

from accelpool.types import Slice
from tests.support.agent import Agent, ControlError, Refused, admit

GROUP = 54321


class Sessions(unittest.TestCase):
    def setUp(self) -> None:
        self.agent = Agent(self)
        self.library = '/etc/hostname'

    def bind(self, **device: Any) -> None:
        wanted = Slice(id='slice-1', allocation_id='of-slice-1', device_id='device-1', host='test', compute=30, memory=512)
        self.agent.control.ask('bind', slice=wanted.to_dict(), project='project', device={
            'id': 'device-1', 'memory': 30720, 'compute': 100, 'interface': 'acl', 'library': self.library, 'env': {},
            **device})

    @unittest.skipUnless(os.geteuid() == 0, 'needs root')
    def test_a_session_opens_what_is_of_the_groups(self) -> None:
        """The library stands for the nodes: the stand-in of a worker says by which name it could read it."""
        self.agent.place.chmod(0o755)
        place = self.agent.place / 'node'
        place.touch()
        os.chown(place, 0, GROUP)
        place.chmod(0o660)
        self.library = str(place)
        for group, groups, way in ((None, '', '/proc/self/fd/5 EACCES'), (GROUP, f'{GROUP}', f'{place} ok')):
            with self.subTest(group):
                self.bind(group=group)
                session = self.agent.session()
                facts = session.facts()
                status = pathlib.Path(f'/proc/{facts["pid"]}/status').read_text()
                self.assertIn(f'\nGroups:\t{groups} \n', status)
                self.assertEqual(facts['uid'], facts['gid'])
                self.assertEqual(way, session.order('library'))

    def test_no_session_is_in_roots_group_or_in_an_odd_one(self) -> None:
        for group in (0, -1, 0xffffffff, '5'):
            with self.subTest(group), self.assertRaisesRegex(ControlError, 'cannot be in the group'):
                self.bind(group=group)

    def test_no_session_and_no_credential_where_there_can_be_none(self) -> None:
        self.bind()
        session = self.agent.session()  # with a credential from before
        credential = self.agent.credential()
        self.bind(no_sessions='it has none')
        with self.assertRaisesRegex(ControlError, 'it has none'):
            self.agent.credential()
        with self.assertRaisesRegex(Refused, 'it has none'):
            admit(self.agent.url, credential)
        session.close()
