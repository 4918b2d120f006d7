# SPDX-License-Identifier: Apache-2.0
import unittest

from accelpool import errors
from accelpool.api import throttle


class Throttle(unittest.TestCase):
    def setUp(self) -> None:
        self.now = 0.0
        self.throttle = throttle.Throttle(3, 60, lambda: self.now)

    def fail(self, address: str, times: int) -> None:
        for _ in range(times):
            self.throttle.check(address)
            self.throttle.failed(address)
            self.now += 1

    def test_address_that_failed_too_often_waits_for_the_period(self) -> None:
        self.fail('a', 3)
        self.assertRaises(errors.TooManyRequests, self.throttle.check, 'a')
        self.throttle.check('b')
        self.now = 60.5
        self.throttle.check('a')

    def test_memory_is_bounded(self) -> None:
        self.fail('first', 3)
        for number in range(throttle.REMEMBERED):
            self.throttle.failed(str(number))
        self.throttle.check('first')


if __name__ == '__main__':
    unittest.main()
