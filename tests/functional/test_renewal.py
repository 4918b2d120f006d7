# SPDX-License-Identifier: Apache-2.0
"""Fresh credentials from the agent itself: real agents, real connections, by every way that a session has."""

import contextlib
import unittest
from typing import Any

from accelpool.remoting import artefacts, handshake
from accelpool.remoting.agent import refusal, sessions
from accelpool.runtime import greeting
from accelpool.runtime.guest import renewal
from tests.support import agent
from tests.support.wiretap import Wiretap


class Renewal(unittest.TestCase):
    def start(self, *arguments: str, **options: Any) -> agent.Agent:
        running = agent.Agent(self, arguments=arguments, **options)
        running.bind()
        return running

    @staticmethod
    def entry(running: agent.Agent, *ways: dict[str, str], lifetime: int = 300, **options: Any) -> dict[str, Any]:
        """Return a device of an attachment, as the API has it."""
        return {'ordinal': 0, 'slice': 'slice-1', 'interface': 'cuda', 'expires': 0,
                'urls': list(ways) or [{'url': running.url, 'network': 'default'}],
                'credential': running.credential(lifetime=lifetime, **options)}

    def renew(self, entry: dict[str, Any]) -> dict[str, Any]:
        found, failures = renewal.renew({'version': 1, 'devices': [entry]})
        self.assertEqual([], failures)
        fresh: dict[str, Any] = found['devices'][0]
        return fresh

    def assert_opens(self, url: str, credential: str) -> None:
        session = agent.Session(agent.admit(url, credential))
        self.addCleanup(session.close)
        self.assertEqual('slice-1', session.facts()['slice'])

    def refused(self, running: agent.Agent, credential: str) -> int:
        with self.assertRaises(agent.Refused) as caught:
            ask(running.url, credential)
        return caught.exception.code

    def test_fresh_credential_opens_sessions_and_is_renewed_again(self) -> None:
        running = self.start()
        first = self.entry(running)
        entry = first
        for _ in range(3):
            entry = self.renew(entry)
            self.assert_opens(running.url, entry['credential'])
        self.assertGreater(entry['expires'], first['expires'])
        self.assert_opens(running.url, first['credential'])  # nobody is cut off who has not heard of it yet
        self.assertEqual(3, running.slice()['renewals'])

    def test_every_renewal_lives_as_long_as_the_first_credential(self) -> None:
        running = self.start()
        self.assertLess(self.renew(self.entry(running, lifetime=50))['expires'],
                        self.renew(self.entry(running, lifetime=200))['expires'] - 100)

    def test_who_is_refused(self) -> None:
        running, other, never = self.start(), self.start(), self.start('--renewable', '-1')
        good = running.credential()
        claims, _, key = good.rpartition(':')
        *head, until = claims.split(':')
        self.assertEqual(refusal.BAD, self.refused(running, other.credential()))
        self.assertEqual(refusal.BAD, self.refused(running, f'{claims}:{"0" * 64}'))
        self.assertEqual(refusal.BAD, self.refused(running, f'{":".join(head)}:{until}0:{key}'))
        self.assertEqual(refusal.EXPIRED, self.refused(running, running.credential(lifetime=-1)))
        self.assertEqual(refusal.EXPIRED, self.refused(never, never.credential()))
        holder = running.control.ask('holder', allocation_id='of-slice-1', lifetime=300)
        self.assertEqual(refusal.BAD, self.refused(running, holder['credential']))
        running.bind(generation=2)
        self.assertEqual(refusal.REVOKED, self.refused(running, good))
        current = running.credential(generation=2)
        self.renew(self.entry(running, generation=2))
        running.control.ask('unbind', slice_id='slice-1')
        self.assertEqual(refusal.REVOKED, self.refused(running, current))

    def test_raised_generation_revokes_what_was_renewed_too(self) -> None:
        running = self.start()
        fresh = self.renew(self.entry(running))
        running.bind(generation=2)
        with self.assertRaises(agent.Refused) as caught:
            agent.admit(running.url, fresh['credential'])
        self.assertEqual(refusal.REVOKED, caught.exception.code)

    def test_agent_that_was_started_again_goes_on(self) -> None:
        running = self.start()
        entry = self.entry(running)
        running.process.kill()
        running.process.wait()
        again = self.start(place=running.place, listen=running.url)
        self.assert_opens(again.url, self.renew(entry)['credential'])

    def test_too_many_of_one_slice(self) -> None:
        running = self.start()
        credential = running.credential()
        for _ in range(sessions.RENEWALS):
            ask(running.url, credential)
        self.assertEqual(refusal.BUSY, self.refused(running, credential))
        running.bind('slice-2', device='device-2')
        ask(running.url, running.credential('slice-2'))
        self.assert_opens(running.url, credential)

    def test_nobody_on_the_wire_learns_or_changes_it(self) -> None:
        running = self.start('--tls-loopback')
        with Wiretap(running.url) as tap:
            fresh = self.renew(self.entry(running, {'url': tap.url, 'network': 'n'}))['credential']
        secret = fresh.rpartition(':')[2]
        self.assertNotIn(bytes.fromhex(secret), bytes(tap.answered))
        self.assertNotIn(secret.encode(), bytes(tap.answered))
        with contextlib.closing(agent.connect(running.url)) as connection:  # what was said once is no proof again
            connection.sendall(tap.said)
            agent.expect(connection, handshake.CHALLENGE)
            with self.assertRaises(agent.Refused) as caught:
                agent.expect(connection, handshake.RENEWED)
        self.assertEqual(refusal.BAD, caught.exception.code)
        renewed = handshake.HEADER.pack(0, handshake.RENEWED, 0, 0)[4:6]

        def change(data: bytes) -> bytes:
            return data[:-1] + bytes([data[-1] ^ 1]) if data[4:6] == renewed else data

        with Wiretap(running.url, change) as tap:
            entry = self.entry(running, {'url': tap.url, 'network': 'n'})
            found, failures = renewal.renew({'devices': [entry]})
        self.assertEqual([entry], found['devices'])
        self.assertIn('not from this agent', failures[0])

    def test_through_the_front_door(self) -> None:
        there = self.start('--tls-loopback', listen='tcp://127.0.0.8:0')
        here = agent.Agent(self, worker=artefacts.worker().parents[1], arguments=['--door', 'tcp://127.0.0.1:0'])
        ways = here.control.ask('route', allocation_id='of-slice-1', lifetime=60,
                                urls=[{'url': there.url, 'network': 'default'}])['ways'][0]
        self.assertEqual(['unix', 'tcp'], [way['via'].partition(':')[0] for way in ways])
        for way in ways:
            with self.subTest(way['via']):
                fresh = self.renew(self.entry(there, way))
                self.assertEqual([way], fresh['urls'])
        self.assertEqual(2, there.slice()['renewals'])

    def test_ways_that_lead_nowhere_are_passed_by(self) -> None:
        running = self.start()
        nowhere = [{'url': 'tcp://127.0.0.1:1', 'network': 'a'}, {'url': 'unix:///none', 'network': 'b'},
                   {'url': running.url, 'network': 'c', 'via': running.about['data_socket'], 'ticket': 'forged'}]
        fresh = self.renew(self.entry(running, *nowhere, {'url': running.url, 'network': 'd'}))
        self.assert_opens(running.url, fresh['credential'])
        kept = self.entry(running, *nowhere)
        found, failures = renewal.renew({'devices': [kept, self.entry(running)]})
        self.assertEqual(kept, found['devices'][0])
        self.assertGreater(found['devices'][1]['expires'], 0)
        self.assertEqual(1, len(failures))
        self.assertIn('Connection refused', failures[0])


def ask(url: str, credential: str) -> None:
    """Ask for a fresh credential.  :raises agent.Refused:"""
    with contextlib.closing(greeting.dial({'url': url})) as connection:
        try:
            greeting.greet(connection, handshake.KIND_RENEWAL, credential)
        except greeting.Refused as failure:  # a key that is not the agent's is seen by the client first: insist
            if 'could not prove' not in str(failure):
                raise
            connection.sendall(handshake.frame(handshake.PROOF, bytes(32)))
        agent.expect(connection, handshake.RENEWED)


if __name__ == '__main__':
    unittest.main()
