# SPDX-License-Identifier: Apache-2.0
"""What integration tests share.

``tools.integration`` starts the real services and can start, stop and kill each of them; here are the clients
(:mod:`.client`), the faults (:mod:`.fault`) and the accounts that must be right afterwards (:mod:`.accounts`).
"""

import dataclasses
import pathlib
import tempfile
import unittest
from typing import Any

from tests.integration.support.client import release_all
from tools.integration import databases as servers
from tools.integration import layout, pool, services, tasks
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

    def instead(self, name: str, **changes: Any) -> None:
        """Run a service otherwise than usual until the test ends."""
        service_ = service(name)
        if service_.pid is not None:
            service_.stop()
            self.addCleanup(service_.start)
        self.addCleanup(service_.stop)
        dataclasses.replace(service_, **changes).start()

    def configured(self, name: str, more: str) -> None:
        """Run a service of accelpool with more in its configuration until the test ends."""
        place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (place / 'accelpool.conf').write_text(f'{pool.CONFIG.read_text()}{more}')
        service_ = service(name)
        self.instead(name, env={**service_.env, 'OS_ACCELPOOL_CONFIG_DIR': str(place)},
                     command=[place / 'accelpool.conf' if part == pool.CONFIG else part for part in service_.command])
