# SPDX-License-Identifier: Apache-2.0
"""What integration tests share.

``tools.integration`` starts the real services and can start, stop and kill each of them; here are the clients
(:mod:`.client`), the faults (:mod:`.fault`) and the accounts that must be right afterwards (:mod:`.accounts`).
"""

import unittest

from tests.integration.support.client import release_all
from tools.integration import databases as servers
from tools.integration import layout, services, tasks
from tools.integration.process import Service


def up(*groups: str) -> None:
    """Bring up what a test module needs; what runs already is left as it is (``setUpModule``)."""
    layout.make()
    tasks.run(services.steps(groups), quiet=True)


def databases() -> None:
    """Bring up the database servers only."""
    layout.make()
    tasks.run({'mariadb': (servers.mariadb, ()), 'postgresql': (servers.postgresql, ())}, quiet=True)


def service(name: str) -> Service:
    """Return a service by its name: ``python -m tools.integration status`` lists them."""
    return services.all_services()[name]


class Case(unittest.TestCase):
    """A test that may break services: it begins with an empty pool, and all services run again when it ends."""

    def setUp(self) -> None:
        release_all()
        self.addCleanup(up)
