# SPDX-License-Identifier: Apache-2.0
"""Rules are asked by many threads at once, also while they are read."""

import threading
import time
import unittest
from concurrent import futures
from unittest import mock

from oslo_config import cfg
from oslo_policy import opts, policy

from accelpool import policy as rules
from accelpool.policy import arq

ROLES = {'roles': ['member', 'reader'], 'project_id': 'p', 'user_id': 'u', 'system_scope': None}
THREADS = 8


class Enforcer(unittest.TestCase):
    def test_nobody_is_refused_while_rules_are_read(self) -> None:
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[], default_config_dirs=[])
        opts._register(conf)
        enforcer = rules._Enforcer(conf)
        enforcer.register_defaults(rules.list_rules())
        start, read = threading.Barrier(THREADS), policy.Enforcer.load_rules

        def slowly(self: policy.Enforcer, force_reload: bool = False) -> None:
            time.sleep(0.02)
            read(self, force_reload)

        def ask(_: int) -> bool:
            start.wait()
            return enforcer.allows(arq.LIST, {'project_id': 'p'}, ROLES)

        with mock.patch.object(policy.Enforcer, 'load_rules', slowly), futures.ThreadPoolExecutor(THREADS) as pool:
            self.assertEqual([True] * THREADS, list(pool.map(ask, range(THREADS))))
