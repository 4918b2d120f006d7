# SPDX-License-Identifier: Apache-2.0
import collections
import unittest

from accelpool.drivers.nvidia import xid
from accelpool.drivers.nvidia.xid import Action


class Catalogue(unittest.TestCase):
    def test_every_code_has_exactly_one_action(self) -> None:
        listed = [code for codes in xid._table()['actions'].values() for code in codes]
        self.assertEqual(list(range(1, 173)), sorted(listed))
        self.assertEqual(set(Action), {str(name) for name in xid._table()['actions']})
        self.assertLessEqual(set(xid._table()['names']), set(listed))

    def test_the_classes_are_nvidias(self) -> None:
        for code, action in ((13, Action.RESTART_APPLICATION), (31, Action.RESTART_APPLICATION), (43, Action.IGNORE),
                             (48, Action.RESET_GPU), (63, Action.IGNORE), (64, Action.RESET_GPU),
                             (74, Action.RESET_GPU), (79, Action.RESTART_HOST), (94, Action.RESTART_APPLICATION),
                             (95, Action.RESET_GPU), (109, Action.RESET_GPU), (119, Action.RESET_GPU),
                             (140, Action.RESET_GPU), (151, Action.RESTART_HOST), (1, Action.CONTACT_SUPPORT)):
            self.assertEqual(action, xid.action(code), code)
        counted = collections.Counter(xid.actions().values())
        self.assertEqual({'ignore': 25, 'restart-application': 50, 'reset-gpu': 26, 'restart-host': 3,
                          'contact-support': 68}, {str(key): value for key, value in counted.items()})

    def test_an_unknown_code_is_for_the_vendor(self) -> None:
        self.assertEqual(Action.CONTACT_SUPPORT, xid.action(4711))
        self.assertEqual('XID 4711', xid.describe(4711))
        self.assertEqual('XID 79 (GPU has fallen off the bus)', xid.describe(79))
