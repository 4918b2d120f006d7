# SPDX-License-Identifier: Apache-2.0
import dataclasses
import unittest

from accelpool.placement import names
from accelpool.placement.difference import Found, Step, Verb, difference
from accelpool.placement.providers import Amounts, Holding, Provider, inventories, providers
from tests.unit.placement.test_providers import device

(SHARED,) = providers([device()], [], {}).values()
(LOCAL,) = providers([device(modes=('whole',))], [], {'host-a': 'c1'}).values()


def right(wanted: Provider, **values: object) -> Found:
    """Return a provider as it should be, but for some values."""
    return Found(**{
        'uuid': wanted.uuid, 'name': wanted.name, 'parent': wanted.parent, 'generation': 7, 'traits': wanted.traits,
        'aggregates': frozenset({names.AGGREGATE} if wanted.shared else ()), 'inventories': inventories(wanted, {}),
        **values})


def verbs(wanted: Provider | None, found: Found | None) -> list[Verb]:
    return [step.verb for step in difference(wanted, found)]


class Difference(unittest.TestCase):
    def test_nothing_is_done_where_all_is_right(self) -> None:
        for wanted in (SHARED, LOCAL):
            self.assertEqual([], difference(wanted, right(wanted)))
        self.assertEqual([], difference(None, None))

    def test_a_new_provider_offers_something_when_all_else_is_right(self) -> None:
        self.assertEqual([Verb.CREATE, Verb.TRAITS, Verb.AGGREGATES, Verb.INVENTORIES], verbs(SHARED, None))
        self.assertEqual([Verb.CREATE, Verb.TRAITS, Verb.INVENTORIES], verbs(LOCAL, None))

    def test_only_what_differs_is_changed(self) -> None:
        self.assertEqual([Verb.TRAITS], verbs(SHARED, right(SHARED, traits=frozenset({names.OWNER}))))
        self.assertEqual([Verb.MOVE], verbs(LOCAL, right(LOCAL, parent='c2')))
        self.assertEqual([Verb.MOVE], verbs(LOCAL, right(LOCAL, name='former')))
        self.assertEqual([Verb.INVENTORIES], verbs(SHARED, right(SHARED, inventories={})))

    def test_other_aggregates_stay(self) -> None:
        self.assertEqual([Step(Verb.AGGREGATES, {'other', names.AGGREGATE})],
                         difference(SHARED, right(SHARED, aggregates=frozenset({'other'}))))
        self.assertEqual([], difference(LOCAL, right(LOCAL, aggregates=frozenset({'other'}))))

    def test_what_is_reserved_depends_on_who_is_there(self) -> None:
        (wanted,) = providers([device()], [Holding('d', Amounts(30, 300), 'vm')], {}).values()
        before = right(wanted)
        claimed = dataclasses.replace(before, allocations={'vm': Amounts(30, 300)})
        self.assertEqual([], difference(wanted, before))
        (step,) = difference(wanted, claimed)
        self.assertEqual(0, step.value[names.COMPUTE]['reserved'])

    def test_a_provider_that_should_not_be_there_is_closed_until_it_is_empty(self) -> None:
        used = right(SHARED, allocations={'vm': Amounts(30, 300)})
        (step,) = difference(None, used)
        self.assertEqual(Verb.INVENTORIES, step.verb)
        self.assertEqual([100, 1000], [step.value[name]['reserved'] for name in (names.COMPUTE, names.MEMORY)])
        self.assertEqual([], difference(None, dataclasses.replace(used, inventories=step.value)))
        self.assertEqual([Verb.DELETE], verbs(None, right(SHARED)))
