# SPDX-License-Identifier: Apache-2.0
"""Releases of DCMI that lack a function: it counts as not supported, and nothing else suffers."""

import os
import pathlib
import tempfile
import unittest
from typing import Any
from unittest import mock

from accelpool.drivers.ascend import dcmi
from tests.fakes.dcmi import host as fake

#: Without these there is nothing to say of a chip; without any other one everything is said but what it would have.
NEEDED = frozenset({
    'dcmi_get_device_id_in_card', 'dcmi_get_device_pcie_info_v2', 'dcmi_get_device_die_v2',
    'dcmi_get_device_logic_id', 'dcmi_get_device_phyid_from_logicid', 'dcmi_get_device_health',
    # A chip with HBM has no other memory to tell.
    'dcmi_get_device_hbm_info'})
#: What a release has instead of the functions that came later.
BEFORE = {'dcmi_get_device_chip_info_v2': 'dcmi_get_device_chip_info', 'dcmi_get_card_list': 'dcmi_get_card_num_list'}


class Older:
    """A library that lacks some functions, and notes which are asked for."""

    def __init__(self, library: Any) -> None:
        self.library, self.lacking, self.asked = library, frozenset[str](), set[str]()

    def __getattr__(self, name: str) -> Any:
        self.asked.add(name)
        if name in self.lacking:
            raise AttributeError(name)
        return getattr(self.library, name)


class Missing(unittest.TestCase):
    def setUp(self) -> None:
        place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        host = fake.Host('atlas-800t-a2', place / 'state')
        self.addCleanup(host.close)
        self.enterContext(mock.patch.dict(os.environ, host.env))
        self.enterContext(mock.patch.object(dcmi, 'PLACES', (str(fake.library() / 'libdcmi.so'),)))
        self.enterContext(mock.patch.multiple(dcmi, _library=None, _v2=False))
        dcmi.open_()
        self.library = Older(dcmi._library)
        dcmi._library = self.library

    def look(self) -> dict[str, Any]:
        found = dcmi.host()
        card, chip = found['chips'][0]
        return {**found, **dcmi.identity(card, chip), **dcmi.condition(card, chip),
                'islands': dcmi.islands(found['chips']), 'recover': dcmi.recover()}

    def test_each_function_alone(self) -> None:
        whole = self.look()
        asked = frozenset(name for name in self.library.asked if name.startswith('dcmi_'))
        self.assertLessEqual(NEEDED, asked)
        self.assertGreater(len(asked), 18)
        for name in sorted(asked):
            self.library.lacking = frozenset({name})
            with self.subTest(name):
                if name in NEEDED:
                    with self.assertRaises(dcmi.Failed) as failure:
                        self.look()
                    self.assertEqual(dcmi.NOT_SUPPORT, failure.exception.code)
                    continue
                seen = self.look()
                for key in whole:
                    self.assertIn(seen[key], (whole[key], None, [], False), key)

    def test_what_there_was_before_says_the_same(self) -> None:
        whole = self.look()
        self.library.lacking = frozenset(BEFORE)
        self.assertEqual(whole, self.look())
        for name, older in BEFORE.items():
            self.library.lacking = frozenset({name, older})
            with self.subTest(name):
                with self.assertRaises(dcmi.Failed) as failure:
                    self.look()
                self.assertEqual((older, dcmi.NOT_SUPPORT), (failure.exception.call, failure.exception.code))
