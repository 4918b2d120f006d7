# SPDX-License-Identifier: Apache-2.0
import socket
import unittest

from accelpool.remoting.agent import secure
from accelpool.remoting.handshake import Transport


class FromNetwork:
    """The agent's end of a connection that came to an address."""

    family = socket.AF_INET

    def __init__(self, local: str) -> None:
        self._local = local

    def getsockname(self) -> tuple[str, int]:
        return self._local, 4000


class Policy(unittest.TestCase):
    def test_plaintext_stays_on_the_machine(self) -> None:
        policy = secure.Policy()
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        self.assertEqual(Transport.PLAIN, policy.choose(ours))
        self.assertEqual({}, policy.parameters(Transport.PLAIN, b'k'))
        for address, transport in (('127.0.0.1', Transport.PLAIN), ('127.200.1.1', Transport.PLAIN),
                                   ('10.0.0.1', Transport.TLS_PSK), ('198.51.100.7', Transport.TLS_PSK)):
            self.assertEqual(transport, policy.choose(FromNetwork(address)), address)  # type: ignore[arg-type]

    def test_the_operator_may_want_it_everywhere_and_with_certificates(self) -> None:
        papers = secure.Certificates('authority', 'certificate', 'private')
        policy = secure.Policy(Transport.TLS_CERTIFICATE, papers, loopback=True)
        transport = policy.choose(FromNetwork('127.0.0.1'))  # type: ignore[arg-type]
        self.assertEqual(Transport.TLS_CERTIFICATE, transport)
        self.assertEqual({'transport': '2', 'tls_key': b'k'.hex(), 'tls_authority': 'authority',
                          'tls_certificate': 'certificate', 'tls_private_key': 'private'},
                         policy.parameters(transport, b'k'))
        self.assertNotIn('private', repr(papers).replace('private_key', ''))
