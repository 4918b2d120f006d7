# SPDX-License-Identifier: Apache-2.0
"""The agent's front door: who gets in, and what hostile bytes achieve (nothing)."""

import os
import secrets
import socket
import struct
import unittest

import hypothesis
from hypothesis import strategies

from accelpool.remoting import handshake
from accelpool.remoting.agent import admission
from tests.support import agent as support
from tests.support.agent import Agent, Refused, admit, connect, expect, frame

PROOF_OF_LIFE = 'facts'


class Doors(unittest.TestCase):

    def setUp(self) -> None:
        self.agent = Agent(self)
        self.agent.bind()

    def assert_lives(self) -> None:
        session = self.agent.session()
        self.assertEqual(session.facts()['slice'], 'slice-1')
        session.close()

    def refusal(self, credential: str, kind: int = handshake.KIND_SESSION) -> int:
        with self.assertRaises(Refused) as caught:
            admit(self.agent.url, credential, kind).close()
        return caught.exception.code

    def test_both_listeners_let_sessions_in(self) -> None:
        for url in (self.agent.url, self.agent.about['data_socket']):
            self.assertEqual(self.agent.session(url=url).facts()['slice'], 'slice-1')

    def test_the_agent_proves_itself_too(self) -> None:
        secret = handshake.Credential.parse(self.agent.credential())
        with connect(self.agent.url) as connection:
            nonce = secrets.token_bytes(32)
            connection.sendall(handshake.hello(handshake.KIND_SESSION, secret.claims, nonce))
            transport, theirs, proof = handshake.parse_challenge(expect(connection, handshake.CHALLENGE))
            self.assertEqual(proof, handshake.agent_proof(secret.key, transport, nonce, theirs))

    def test_bytes_behind_the_proof_reach_the_worker(self) -> None:
        secret = handshake.Credential.parse(self.agent.credential())
        connection = connect(self.agent.url)
        nonce = secrets.token_bytes(32)
        connection.sendall(handshake.hello(handshake.KIND_SESSION, secret.claims, nonce))
        transport, theirs, _ = handshake.parse_challenge(expect(connection, handshake.CHALLENGE))
        connection.sendall(handshake.frame(
            handshake.PROOF, handshake.client_proof(secret.key, transport, nonce, theirs)) + b'facts\n')
        expect(connection, handshake.WELCOME)
        session = support.Session(connection)
        self.addCleanup(session.close)
        self.assertIn('slice-1', session.hear())

    def test_wrong_credentials(self) -> None:
        good = self.agent.credential()
        claims, _, key = good.rpartition(':')
        foreign = Agent(self)
        foreign.bind()
        self.assertEqual(self.refusal(foreign.credential()), admission.BAD)
        self.assertEqual(self.refusal(f'{claims}:{"0" * 64}'), admission.BAD)
        self.assertEqual(self.refusal(f'{claims}0:{key}'), admission.BAD)  # a later expiry
        self.assertEqual(self.refusal(f'{claims.replace("slice-1", "slice-2")}:{key}'), admission.BAD)
        self.assertEqual(self.refusal(self.agent.credential(lifetime=-1)), admission.EXPIRED)
        self.assertEqual(self.refusal(good, handshake.KIND_HOLDER), admission.BAD)
        holder = self.agent.control.ask('holder', allocation_id='of-slice-1', lifetime=300)
        self.assertEqual(self.refusal(holder['credential']), admission.BAD)
        self.agent.control.ask('unbind', slice_id='slice-1')
        self.assertEqual(self.refusal(good), admission.REVOKED)

    def test_a_holder_is_seen_until_it_closes(self) -> None:
        watcher = self.agent.connect()
        watcher.ask('watch')
        answer = self.agent.control.ask('holder', allocation_id='a-1', lifetime=300)
        holders = [admit(answer['url'], answer['credential'], handshake.KIND_HOLDER) for _ in range(2)]
        for _ in holders:
            self.assertEqual(watcher.line(), {'v': 1, 'event': 'holder-open', 'allocation_id': 'a-1'})
        self.assertEqual(self.agent.control.ask('usage')['holders'], ['a-1'])
        self.assertEqual(self.agent.connect().ask('watch'), {'holders': ['a-1']})
        for holder in holders:
            holder.close()
        self.assertEqual(watcher.line(), {'v': 1, 'event': 'holder-closed', 'allocation_id': 'a-1'})
        self.assertEqual(self.agent.control.ask('usage')['holders'], [])

    def test_too_many_holders_of_one_allocation(self) -> None:
        answer = self.agent.control.ask('holder', allocation_id='a-1', lifetime=300)
        for _ in range(admission.HOLDERS):
            self.addCleanup(admit(self.agent.url, answer['credential'], handshake.KIND_HOLDER).close)
        self.assertEqual(self.refusal(answer['credential'], handshake.KIND_HOLDER), admission.BUSY)

    def test_sessions_of_a_slice_are_bounded(self) -> None:
        sessions = [self.agent.session() for _ in range(64)]
        self.assertEqual(self.refusal(self.agent.credential()), admission.BUSY)
        for session in sessions:
            session.close()
        support.wait_for(lambda: self.agent.slice()['sessions'] == 0, 'their end')
        self.assert_lives()

    def test_hostile_greetings(self) -> None:
        claims = b'v2:' + b'a' * 50
        for what, data in {
            'nothing of ours': b'GET / HTTP/1.1\r\nHost: agent\r\n\r\n',
            'a TLS greeting': b'\x16\x03\x01\x02\x00' + bytes(100),
            'a long frame': handshake.HEADER.pack(1 << 30, handshake.HELLO, 0, 0),
            'a wrong opcode': handshake.frame(handshake.PROOF, bytes(32)),
            'an empty greeting': handshake.frame(handshake.HELLO),
            'a wrong magic': handshake.frame(handshake.HELLO, bytes(44)),
            'a wrong kind': handshake.hello(9, 'v2:a', bytes(32)),
            'a length that lies': handshake.frame(handshake.HELLO, struct.pack(
                '<IHHHH32s', handshake.MAGIC, 1, 1, 1, 4000, bytes(32)) + claims),
            'claims that are not text': handshake.frame(handshake.HELLO, struct.pack(
                '<IHHHH32s', handshake.MAGIC, 1, 1, 1, 4, bytes(32)) + b'\xff\xfe\x00\x01'),
        }.items():
            with self.subTest(what), connect(self.agent.url) as connection:
                connection.sendall(data)
                opcode, payload = frame(connection)
                self.assertEqual(opcode, handshake.REFUSED)
                self.assertEqual(handshake.parse_refused(payload)[0], admission.MALFORMED)
        self.assert_lives()

    def test_a_version_that_it_does_not_speak_is_called_that(self) -> None:
        connection = self.enterContext(connect(self.agent.url))
        header, payload = handshake.HEADER, bytearray(handshake.hello(1, 'claims', bytes(32))[handshake.HEADER.size:])
        payload[4:8] = b'\2\0\3\0'
        connection.sendall(header.pack(len(payload), handshake.HELLO, 0, 0) + payload)
        with self.assertRaises(Refused) as caught:
            expect(connection, handshake.CHALLENGE)
        self.assertEqual(4, caught.exception.code)
        self.assertIn('protocol versions 2-3', str(caught.exception))

    def test_a_long_proof_is_no_proof(self) -> None:
        with connect(self.agent.url) as connection:
            connection.sendall(handshake.hello(handshake.KIND_SESSION, 'v2:a:b:1:1:1:1', bytes(32)))
            expect(connection, handshake.CHALLENGE)
            connection.sendall(handshake.frame(handshake.PROOF, bytes(2000)))
            self.assertEqual(frame(connection)[0], handshake.REFUSED)

    def test_truncated_greetings(self) -> None:
        whole = handshake.hello(handshake.KIND_SESSION, 'v2:a:b:1:1:1:1', bytes(32))
        for size in (0, 1, 15, 16, 17, len(whole) - 1):
            with connect(self.agent.url) as connection:
                connection.sendall(whole[:size])
                connection.shutdown(socket.SHUT_WR)
                self.assertEqual(connection.recv(1), b'')
        self.assert_lives()

    def test_peers_that_say_nothing_keep_nobody_out_and_go(self) -> None:
        silent = [connect(self.agent.url) for _ in range(2 * admission.CONCURRENT)]
        self.assert_lives()
        codes = []
        for connection in silent:
            with connection:
                codes.append(handshake.parse_refused(expect_refusal(connection))[0])
        self.assertIn(admission.BUSY, codes)
        self.assertEqual(codes[-1], admission.MALFORMED)  # after five seconds
        self.assert_lives()

    def test_random_bytes(self) -> None:
        @hypothesis.settings(max_examples=150, deadline=None, database=None)
        @hypothesis.given(strategies.lists(strategies.one_of(
            strategies.binary(max_size=300),
            strategies.builds(handshake.frame, strategies.integers(0, 70), strategies.binary(max_size=200)),
            strategies.builds(handshake.hello, strategies.integers(0, 4), strategies.text('v2:ab-09', max_size=80),
                              strategies.just(bytes(32)))), max_size=4))
        def send(parts: list[bytes]) -> None:
            with connect(self.agent.url) as connection:
                try:
                    connection.sendall(b''.join(parts))
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(4096):
                        pass
                except OSError:
                    pass  # it was cut off, which is right
        send()
        self.assert_lives()
        self.assertNotIn('Traceback', self.agent.log())

    def test_descriptors_do_not_leak(self) -> None:
        before = len(os.listdir(f'/proc/{self.agent.process.pid}/fd'))
        for _ in range(20):
            self.assert_lives()
            connect(self.agent.url).close()
        support.wait_for(lambda: len(os.listdir(f'/proc/{self.agent.process.pid}/fd')) <= before, 'the descriptors')


def expect_refusal(connection: socket.socket) -> bytes:
    opcode, payload = frame(connection)
    assert opcode == handshake.REFUSED
    return payload


class Listening(unittest.TestCase):

    def test_only_addresses_and_paths_can_be_listened_on(self) -> None:
        for url in ('tcp://127.0.0.1.example.org:0', 'tcp://127.0.0.1', 'tcp://[::]:0', 'tcp://:0', 'tcp://127.1:0',
                    'http://127.0.0.1:0', 'tcp://127.0.0.1:x', 'tcp://127.0.0.1:65536'):
            with self.subTest(url), self.assertRaisesRegex(ValueError, 'tcp|port'):
                admission.listener(url).close()
