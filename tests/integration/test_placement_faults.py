# SPDX-License-Identifier: Apache-2.0
"""Faults around Placement with the deployed services: claims go on, and the accounts agree again within 30 s."""

from accelpool.placement import names
from tests.integration import support
from tests.integration.support import accounts, fault, placement
from tests.integration.support.client import Client, release_all
from tools.integration import compute, identity, layout, pool, process


def setUpModule() -> None:
    placement.up()
    support.up()


class Faults(support.Case):
    """Each test leaves Placement with what one allocation holds, and looks whether it knows."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(accounts.connected())
        self.addCleanup(release_all)
        release_all()
        placement.agree(self, 60)

    def test_placement_is_killed(self) -> None:
        with fault.killed(compute.PLACEMENT):
            self._hold()
        placement.agree(self)

    def test_keystone_is_killed(self) -> None:
        made = self._hold()
        with fault.killed(identity.KEYSTONE):
            placement.agree(self)  # the scheduler has its token
        Client().release(made)
        placement.agree(self)

    def test_the_scheduler_that_keeps_the_inventory_is_killed(self) -> None:
        with fault.killed(pool.SCHEDULER['scheduler1']):
            self._hold()
            # Until it counts as down nobody does it.
            placement.agree(self, fault.RECOVERY + 20)

    def test_all_schedulers_are_killed_while_something_is_released(self) -> None:
        made = self._hold()
        placement.agree(self)
        with fault.killed(*pool.SCHEDULER.values()):
            Client().release(made)
            Client().wait(made, 'released')
        placement.agree(self)

    def test_a_host_is_silent(self) -> None:
        conductor = pool.CONDUCTOR[layout.COMPUTES[0]]
        with fault.killed(conductor):
            self._wait_for_free(1)
        self._wait_for_free(0)
        placement.agree(self)

    def _hold(self) -> str:
        made = Client().allocate(compute=30, memory=2048)
        Client().wait(made['id'], 'active')
        return str(made['id'])

    def _wait_for_free(self, silent: int) -> None:
        """Wait until Placement offers nothing of so many hosts: each has one device behind each shared provider."""
        wanted = {100 * (len(layout.COMPUTES) - silent)}

        def offered() -> set[int]:
            found = [found.inventories[names.COMPUTE] for found in placement.ours(placement.client()).values()
                     if names.SHARES in found.traits]
            return {one['total'] - one['reserved'] for one in found}

        process.wait_for(lambda: offered() == wanted, 'the offer', 60)
