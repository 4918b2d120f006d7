# SPDX-License-Identifier: Apache-2.0
"""Only what this host has minted proves anything."""

import contextlib
import os
import pathlib
import tempfile
import unittest

import hypothesis
from hypothesis import strategies

from accelpool.remoting import handshake
from accelpool.remoting.agent import credential

KEY = bytes(range(32))
CLAIMS = credential.Claims('11111111-2222-3333-4444-555555555555', '99999999-2222-3333-4444-555555555555', 3,
                           2_000_000_000, 300, 2_000_003_600)


class Minting(unittest.TestCase):

    def test_a_client_reads_what_the_agent_minted(self) -> None:
        minted = handshake.Credential.parse(str(credential.mint(KEY, CLAIMS)))
        self.assertEqual(credential.Claims.parse(minted.claims), CLAIMS)
        self.assertEqual(minted.key, credential.derive(KEY, minted.claims))

    def test_another_host_derives_another_key(self) -> None:
        self.assertNotEqual(credential.derive(KEY, str(CLAIMS)), credential.derive(bytes(32), str(CLAIMS)))

    def test_altered_claims_need_another_key(self) -> None:
        for changed in (CLAIMS._replace(generation=4), CLAIMS._replace(expires=2_000_000_001), CLAIMS._replace(until=2_000_003_601),
                        CLAIMS._replace(slice_id=credential.HOLDER)):
            self.assertNotEqual(credential.derive(KEY, str(CLAIMS)), credential.derive(KEY, str(changed)))

    @hypothesis.given(strategies.text(max_size=200))
    def test_any_text_is_claims_or_malformed(self, text: str) -> None:
        with contextlib.suppress(credential.Malformed):
            self.assertEqual(str(credential.Claims.parse(text)), text)

    def test_there_is_one_way_to_write_claims(self) -> None:
        text = str(CLAIMS)
        for other in (text.replace(':3:', ':03:'), text.replace(':3:', ':+3:'), text.replace(':3:', ':٣:'),
                      text + ':', ' ' + text, text.replace('v2', 'v1'), text.replace('1111', '11\x001')):
            with self.subTest(other), self.assertRaises(credential.Malformed):
                credential.Claims.parse(other)


class HostKey(unittest.TestCase):

    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.path = pathlib.Path(place.name, 'host.key')

    def test_made_once_and_for_this_user_only(self) -> None:
        key = credential.load_host_key(self.path)
        self.assertEqual(len(key), 32)
        self.assertEqual(credential.load_host_key(self.path), key)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(os.listdir(self.path.parent), ['host.key'])

    def test_a_key_that_others_can_read_is_no_key(self) -> None:
        credential.load_host_key(self.path)
        self.path.chmod(0o644)
        with self.assertRaisesRegex(ValueError, 'chmod 600'):
            credential.load_host_key(self.path)

    def test_a_damaged_key_is_not_used(self) -> None:
        self.path.touch(0o600)
        with self.assertRaisesRegex(ValueError, 'not a host key'):
            credential.load_host_key(self.path)
