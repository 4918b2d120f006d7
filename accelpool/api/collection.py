# SPDX-License-Identifier: Apache-2.0
"""Pages of a collection: ``limit``, ``marker``, ``sort`` and the link to the next page."""

import datetime
import urllib.parse
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeVar

from accelpool.api import resource
from accelpool.api.schemas.v1 import common


class _HasId(Protocol):
    id: Any


Item = TypeVar('Item', bound=_HasId)
Sort = list[tuple[str, Literal['asc', 'desc']]]
Fetch = Callable[..., Sequence[Item]]


def page(call: resource.Call, noun: str, fetch: Fetch[Item], show: Callable[[Item], dict[str, Any]], *,
         default_sort: str = 'created_at') -> dict[str, Any]:
    """Answer a collection's GET.

    :param noun: the key of the objects in the answer
    :param fetch: called with ``filters``, ``sort``, ``marker`` and ``limit``
    :param show: makes an object's representation
    """
    filters = dict(call.query)
    limit = filters.pop('limit', common.MAX_LIMIT)
    marker = filters.pop('marker', None)
    sort = parse_sort(filters.pop('sort', default_sort))
    # One more than asked for tells whether there is a next page.
    items = fetch(filters=filters, sort=sort, marker=marker, limit=limit + 1)
    links = []
    if len(items) > limit:
        items = items[:limit]
        parameters = {name: text for name, text in call.request.GET.items() if name != 'marker'}
        query = urllib.parse.urlencode({**parameters, 'marker': items[-1].id})
        links.append({'rel': 'next', 'href': f'{call.request.path_url}?{query}'})
    return {noun: [show(item) for item in items], 'links': links}


def parse_sort(text: str) -> Sort:
    """Parse ``key[:direction][,...]``, which the query's schema has checked."""
    sort: Sort = []
    for part in text.split(','):
        key, _, direction = part.partition(':')
        if key not in dict(sort):
            sort.append((key, 'desc' if direction == 'desc' else 'asc'))
    return sort


def time(value: datetime.datetime | None) -> str | None:
    """Show a time (UTC without a zone, as the database keeps it) as ISO 8601."""
    return None if value is None else f'{value.isoformat()}Z'
