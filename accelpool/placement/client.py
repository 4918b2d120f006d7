# SPDX-License-Identifier: Apache-2.0
"""Placement's HTTP API, as far as we need it.

Everything that changes a provider names the generation that the decision was made on; Placement answers 409 when
somebody else was faster.
"""

import dataclasses
import logging
from collections.abc import Iterable
from typing import Any

from keystoneauth1 import adapter as ksa_adapter
from keystoneauth1 import exceptions as ksa_exceptions

from accelpool import errors
from accelpool.placement import names
from accelpool.placement.difference import Found, Step, Verb
from accelpool.placement.providers import Amounts

LOG = logging.getLogger(__name__)

#: Has everything that is used here; re-parenting of a provider (2021) came last.
MICROVERSION = '1.37'

#: Statuses that concern the one provider that was to be changed.
REFUSED = frozenset({400, 404, 409})


@dataclasses.dataclass(frozen=True)
class Listed:
    """What a list says of a provider: enough to see whether it has changed."""

    uuid: str
    name: str
    parent: str | None
    generation: int


class Client:
    """Reads and changes providers.

    Every method raises ServiceUnavailable when Placement or Keystone cannot be reached or does not work, and Conflict
    where Placement refuses a change: a generation, a name or a use stands in the way, or it does not like a value.
    """

    def __init__(self, adapter: ksa_adapter.Adapter) -> None:
        self._adapter = adapter
        self._traits: set[str] = set()
        self._missing: set[str] = set()
        self._classes = False

    def forget(self) -> None:
        """Look again which traits and classes exist: this may be another Placement, or an older state of it."""
        self._traits.clear()
        self._missing.clear()
        self._classes = False

    def ours(self) -> dict[str, Listed]:
        """Return all providers that are ours."""
        self.ensure_classes()
        self.existing([names.OWNER, names.LOCAL])  # asked for, or forbidden, also where no device has it
        return self._list(names.OWNER)

    def computes(self) -> dict[str, Listed]:
        """Return Nova's compute providers."""
        return self._list(names.COMPUTE_NODE)

    def read(self, identifier: str) -> Found | None:
        """Return everything about a provider; None when there is no such provider."""
        path = f'/resource_providers/{identifier}'
        first = self._ask('GET', path, missing=True)
        if first is None:
            return None
        # The generation comes first: what changes after it has been read makes a change by it fail.
        inventories, traits, aggregates, allocations = (
            self._ask('GET', f'{path}/{part}', missing=True)
            for part in ('inventories', 'traits', 'aggregates', 'allocations'))
        if None in (inventories, traits, aggregates, allocations):
            return None
        return Found(
            uuid=identifier, name=first['name'], parent=first['parent_provider_uuid'], generation=first['generation'],
            traits=frozenset(traits['traits']), aggregates=frozenset(aggregates['aggregates']),
            inventories=inventories['inventories'],
            allocations={
                consumer: Amounts(one['resources'].get(names.COMPUTE, 0), one['resources'].get(names.MEMORY, 0))
                for consumer, one in allocations['allocations'].items()})

    def aggregates(self, identifier: str) -> tuple[frozenset[str], int]:
        """Return a provider's aggregates, and its generation."""
        found = self._ask('GET', f'/resource_providers/{identifier}/aggregates')
        return frozenset(found['aggregates']), found['resource_provider_generation']

    def apply(self, identifier: str, generation: int, step: Step) -> int:
        """Change a provider that is as it was at ``generation``; returns its generation afterwards."""
        path = f'/resource_providers/{identifier}'
        match step.verb:
            case Verb.CREATE:
                answer = self._ask('POST', '/resource_providers', {
                    'uuid': identifier, 'name': step.value['name'], 'parent_provider_uuid': step.value['parent']})
                return int(answer['generation'])
            case Verb.MOVE:
                answer = self._ask('PUT', path, {
                    'name': step.value['name'], 'parent_provider_uuid': step.value['parent']})
                return int(answer['generation'])
            case Verb.DELETE:
                self._ask('DELETE', path, missing=True)
                return generation
            case Verb.TRAITS:
                body: dict[str, Any] = {'traits': sorted(step.value)}
            case Verb.AGGREGATES:
                body = {'aggregates': sorted(step.value)}
            case Verb.INVENTORIES:
                body = {'inventories': step.value}
        answer = self._ask('PUT', f'{path}/{step.verb}', {**body, 'resource_provider_generation': generation})
        return int(answer['resource_provider_generation'])

    def ensure_classes(self) -> None:
        """Create our resource classes."""
        if not self._classes:
            for name in (names.COMPUTE, names.MEMORY):
                self._ask('PUT', f'/resource_classes/{name}')
            self._classes = True

    def existing(self, traits: Iterable[str]) -> frozenset[str]:
        """Create those of the traits that are not Placement's own; returns all that exist then.

        A standard trait that is newer than this Placement cannot be created: it is left out.
        """
        wanted = frozenset(traits)
        unknown = wanted - self._traits - self._missing
        if unknown:
            self._traits |= set(self._ask('GET', f'/traits?name=in:{",".join(sorted(unknown))}')['traits'])
        for name in sorted(unknown - self._traits):
            if name.startswith('CUSTOM_'):
                self._ask('PUT', f'/traits/{name}')
                self._traits.add(name)
            else:
                LOG.warning('This Placement does not know the trait %s; devices that have it are offered without it',
                            name)
                self._missing.add(name)
        return wanted - self._missing

    def _list(self, trait: str) -> dict[str, Listed]:
        found = self._ask('GET', f'/resource_providers?required={trait}')['resource_providers']
        return {one['uuid']: Listed(one['uuid'], one['name'], one['parent_provider_uuid'], one['generation'])
                for one in found}

    def _ask(self, method: str, path: str, body: Any = None, *, missing: bool = False) -> Any:
        """Return the answer's body; None when ``missing`` allows a 404."""
        options = {} if body is None else {'json': body}
        try:
            answer = self._adapter.request(path, method, raise_exc=False, **options)
        except ksa_exceptions.ClientException as error:
            raise errors.ServiceUnavailable(f'Placement cannot be reached: {error}') from error
        if answer.status_code == 404 and missing:
            return None
        if answer.status_code in REFUSED:
            raise errors.Conflict(f'Placement refused {method} {path}: {_detail(answer)}')
        if answer.status_code >= 400:
            raise errors.ServiceUnavailable(
                f'Placement answered {answer.status_code} to {method} {path}: {_detail(answer)}')
        return answer.json() if answer.content else {}


def _detail(answer: Any) -> str:
    """Return what Placement says of a refusal; a proxy in between may say it in another form."""
    try:
        return str(answer.json()['errors'][0]['detail'])
    except (ValueError, LookupError, TypeError):
        return str(answer.text)[:200]
