# SPDX-License-Identifier: Apache-2.0
import unittest

from accelpool import errors
from accelpool.api import ways

A = {'url': 'tcp://198.51.100.1:1', 'network': 'management'}
B = {'url': 'tcp://203.0.113.1:2', 'network': 'data'}
LOCAL = 'unix:///run/data.sock'


def through(place: ways.Way) -> ways.Way:
    return {**place, 'via': LOCAL, 'ticket': 't'}


class Ways(unittest.TestCase):
    def test_only_the_network_that_was_asked_for(self) -> None:
        self.assertEqual([A, B], ways.on_network([A, B], None, 'host'))
        self.assertEqual([B], ways.on_network([A, B], 'data', 'host'))
        with self.assertRaises(errors.Conflict) as caught:
            ways.on_network([A, B], 'storage', 'host-a')
        self.assertIn('host-a is not on the network storage', caught.exception.detail)

    def test_direct_first_and_the_local_agent_for_what_is_left(self) -> None:
        routed = {A['url']: [through(A)], B['url']: [through(B)]}
        self.assertEqual([A, B, through(A), through(B)], ways.arrange([A, B], routed, 'also'))
        self.assertEqual([through(A), through(B)], ways.arrange([A, B], routed, 'only'))
        self.assertEqual([A, B], ways.arrange([A, B], {}, 'never'))

    def test_a_consumer_without_an_agent_goes_direct(self) -> None:
        self.assertEqual([A], ways.arrange([A], {}, 'only'))

    def test_a_device_of_the_consumers_own_host_is_reached_inside_it(self) -> None:
        near = {'url': LOCAL, 'network': 'data'}
        routed = {place['url']: [{'url': LOCAL, 'network': place['network']}] for place in (A, B)}
        self.assertEqual([near, A, B], ways.arrange([A, B], routed, 'also'))
        self.assertEqual([near], ways.arrange([A, B], routed, 'only'))
