# SPDX-License-Identifier: Apache-2.0
"""Every option group is found, described and registered."""

import unittest

from oslo_config import cfg

from accelpool import conf, units


class Options(unittest.TestCase):
    def test_every_group_is_listed_with_help(self) -> None:
        groups = dict(conf.list_opts())
        self.assertLessEqual({'agent', 'api', 'conductor', 'database', 'embedded', 'mock', 'scheduler'}, set(groups))
        for group, options in groups.items():
            for option in options:
                self.assertTrue(option.help, f'[{group}] {option.name} has no help')

    def test_registering_twice_is_harmless(self) -> None:
        local = cfg.ConfigOpts()
        conf.register_all(local)
        conf.register_all(local)
        local([], default_config_files=[], default_config_dirs=[])
        self.assertEqual(['host-a', 'host-b'], local.embedded.hosts)


class Units(unittest.TestCase):
    def test_amounts(self) -> None:
        for text, expected in (('512MiB', 512), ('30 GiB', 30720), ('1gib', 1024)):
            self.assertEqual(expected, units.mib(text))

    def test_an_amount_needs_a_unit(self) -> None:
        for text in ('512', '', 'GiB', '1.5GiB', '3GB'):
            with self.assertRaises(ValueError):
                units.mib(text)
