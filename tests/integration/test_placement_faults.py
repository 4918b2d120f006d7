# SPDX-License-Identifier: Apache-2.0
"""Faults around Placement with the deployed services: claims go on, and the accounts agree again within 30 s."""

from accelpool.placement import names
from tests.integration import support
from tests.integration.support import accounts, fault, placement
from tests.integration.support.client import Client, release_all
from tests.integration.support.sessions import Session
from tools.integration import compute, identity, layout, pool, process


def setUpModule() -> None:
    placement.up()
    support.up()
    placement.hypervisors()


class Faults(support.Case):
    """Each test leaves Placement with what one allocation holds, and looks whether it knows."""

    HOST = layout.COMPUTES[0]  # has the session

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(accounts.connected())
        self.addCleanup(release_all)
        release_all()
        self.session = Session(self, Client(), locality='host', consumer_host=self.HOST)
        placement.agree(self, 60)

    def test_placement_is_killed(self) -> None:
        with fault.killed(compute.PLACEMENT):
            self._hold()
        self._afterwards()

    def test_keystone_is_killed(self) -> None:
        made = self._hold()
        with fault.killed(identity.KEYSTONE):
            placement.agree(self)  # the scheduler has its token
        Client().release(made)
        self._afterwards()

    def test_the_scheduler_that_keeps_the_inventory_is_killed(self) -> None:
        with fault.killed(pool.SCHEDULER['scheduler1']):
            self._hold()
            # Until it counts as down nobody does it.
            placement.agree(self, fault.RECOVERY + 20)
            self.session.lives()

    def test_all_schedulers_are_killed_while_something_is_released(self) -> None:
        made = self._hold()
        placement.agree(self)
        with fault.killed(*pool.SCHEDULER.values()):
            Client().release(made)
            Client().wait(made, 'released')
        self._afterwards()

    def test_a_host_is_silent(self) -> None:
        """Each host has one device behind each of two shared providers."""
        with fault.killed(pool.CONDUCTOR[self.HOST]):
            self._wait_for_offer(200, 60)
        recovery = fault.Recovery()
        self._wait_for_offer(400 - self.session.COMPUTE, recovery.left)
        self._afterwards(recovery)

    def _afterwards(self, recovery: fault.Recovery | None = None) -> None:
        """Placement knows what there is, soon, and the session has noticed nothing.

        :param recovery: None: the fault has ended just now
        """
        placement.agree(self, (recovery or fault.Recovery()).left)
        self.session.lives()

    def _hold(self) -> str:
        made = Client().allocate(compute=30, memory=2048)
        Client().wait(made['id'], 'active')
        return str(made['id'])

    def _wait_for_offer(self, points: int, patience: float) -> None:
        """Wait until Placement offers so much of all that is shared."""
        def offered() -> int:
            found = [found.inventories[names.COMPUTE] for found in placement.ours(placement.client()).values()
                     if names.SHARES in found.traits]
            return sum(one['total'] - one['reserved'] for one in found)

        process.wait_for(lambda: offered() == points, 'the offer', patience)
