# SPDX-License-Identifier: Apache-2.0
"""Messages that are collected before they leave."""

import os
import threading
import time
import unittest

from accelpool import errors
from accelpool.rpc import later

PATIENCE = 10


class Batches(unittest.TestCase):
    def setUp(self) -> None:
        self.told: list[list[int]] = []
        self.heard = threading.Event()

    def tell(self, batch: list[int]) -> None:
        self.told.append(list(batch))
        self.heard.set()

    def wait(self) -> None:
        self.assertTrue(self.heard.wait(PATIENCE))
        self.heard.clear()

    def test_what_comes_at_once_is_told_at_once(self) -> None:
        batches = later.Batches(self.tell)
        for number in range(3):
            batches.put(number)
        self.wait()
        self.assertEqual([[0, 1, 2]], self.told)
        batches.put(3)
        self.wait()
        self.assertEqual([[0, 1, 2], [3]], self.told)

    def test_a_bus_that_is_away_loses_one_batch(self) -> None:
        def fail(batch: list[int]) -> None:
            self.tell(batch)
            raise errors.ServiceUnavailable('the bus is away')

        with self.assertLogs(later.LOG, 'WARNING') as logs:
            batches = later.Batches(fail, 0)
            batches.put(1)
            self.wait()
            batches.put(2)
            self.wait()
            while len(logs.output) < 2:
                time.sleep(0.001)
        self.assertEqual([[1], [2]], self.told)

    def test_a_fork_tells_only_what_is_its_own(self) -> None:
        batches = later.Batches(self.tell, 0.5)
        batches.put(1)
        read, write = os.pipe()
        child = os.fork()
        if not child:
            self.heard.clear()
            batches.put(2)
            self.heard.wait(PATIENCE)
            os.write(write, repr(self.told).encode())
            os._exit(0)
        os.waitpid(child, 0)
        self.assertEqual(b'[[2]]', os.read(read, 100))
        self.wait()
        self.assertEqual([[1]], self.told)
        os.close(read)
        os.close(write)
