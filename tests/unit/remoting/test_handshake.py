# SPDX-License-Identifier: Apache-2.0
import contextlib
import unittest

from hypothesis import given
from hypothesis import strategies as st

from accelpool.remoting import handshake

KEY, ONE, TWO = b'k' * 32, b'1' * 32, b'2' * 32


class Handshake(unittest.TestCase):
    @given(st.sampled_from([handshake.KIND_SESSION, handshake.KIND_HOLDER, handshake.KIND_RENEWAL]),
           st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=300))
    def test_what_is_packed_is_what_is_read(self, kind: int, claims: str) -> None:
        packed = handshake.hello(kind, claims, ONE)
        length, opcode = handshake.parse_header(packed[:handshake.HEADER.size])
        self.assertEqual((handshake.HELLO, len(packed) - handshake.HEADER.size), (opcode, length))
        self.assertEqual((kind, claims, ONE), handshake.parse_hello(packed[handshake.HEADER.size:]))

    @given(st.binary(max_size=200))
    def test_garbage_is_malformed_and_nothing_else(self, data: bytes) -> None:
        for parse in (handshake.parse_hello, handshake.parse_challenge, handshake.parse_refused):
            with contextlib.suppress(handshake.Malformed):
                parse(data)
        self.assertRaises(handshake.Malformed, handshake.parse_renewed, KEY, ONE, TWO, data)
        with contextlib.suppress(handshake.Malformed):
            handshake.Credential.parse(data.decode('latin-1'))

    def test_frame_that_is_too_long_is_refused_before_it_is_read(self) -> None:
        header = handshake.HEADER.pack(handshake.MAX_BYTES, handshake.HELLO, 0, 0)
        self.assertRaises(handshake.Malformed, handshake.parse_header, header)

    def test_proofs_differ_by_side_by_transport_and_by_both_nonces(self) -> None:
        proofs = {make(KEY, transport, *nonces) for make in (handshake.agent_proof, handshake.client_proof)
                  for transport in handshake.Transport for nonces in ((ONE, TWO), (TWO, ONE), (ONE, ONE))}
        keys = {handshake.tls_key(KEY, *nonces) for nonces in ((ONE, TWO), (TWO, ONE), (ONE, ONE))}
        self.assertEqual(21, len(proofs | keys))

    @given(st.integers(min_value=0), st.integers(min_value=0, max_value=2**64 - 1))
    def test_fresh_credential_is_for_one_connection_and_whole(self, bit: int, expires: int) -> None:
        fresh = handshake.Credential('v2:a:s:1:99:9:99', b'f' * 32)
        packed = handshake.renewed(KEY, ONE, TWO, fresh, expires)[handshake.HEADER.size:]
        self.assertEqual((fresh, expires), handshake.parse_renewed(KEY, ONE, TWO, packed))
        self.assertNotIn(fresh.key, packed)
        for key, *nonces in ((TWO, ONE, TWO), (KEY, TWO, ONE), (KEY, TWO, TWO), (KEY, ONE, ONE)):
            self.assertRaises(handshake.Malformed, handshake.parse_renewed, key, *nonces, packed)
        at = bit % (8 * len(packed))
        changed = bytearray(packed)
        changed[at // 8] ^= 1 << at % 8
        self.assertRaises(handshake.Malformed, handshake.parse_renewed, KEY, ONE, TWO, bytes(changed))

    def test_a_transport_that_nobody_knows_is_malformed(self) -> None:
        packed = handshake.challenge(3, ONE, TWO)[handshake.HEADER.size:]  # type: ignore[arg-type]
        self.assertRaises(handshake.Malformed, handshake.parse_challenge, packed)

    def test_credential_comes_apart(self) -> None:
        found = handshake.Credential.parse('v1:a:s:1:99:' + KEY.hex())
        self.assertEqual(('v1:a:s:1:99', KEY), found)
        for bad in ('', 'v1:a:s:1:99', 'v1:a:s:1:99:zz', KEY.hex()):
            self.assertRaises(handshake.Malformed, handshake.Credential.parse, bad)
