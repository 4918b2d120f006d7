# SPDX-License-Identifier: Apache-2.0
"""In which order a program tries to reach its slice.  Pure."""

from collections.abc import Mapping, Sequence

from accelpool import errors

#: url, network; through the consumer's own agent: also via and ticket.
Way = dict[str, str]


def on_network(places: Sequence[Way], network: str | None, host: str) -> list[Way]:
    """Return the places on the network that was asked for.  :raises Conflict: the host is not on it (any more)"""
    found = [place for place in places if network in {None, place['network']}]
    if not found:
        raise errors.Conflict(f'The agent of {host} is not on the network {network}', field='data_network')
    return found


def arrange(places: Sequence[Way], routed: Mapping[str, Sequence[Way]], front_door: str) -> list[Way]:
    """Return the ways to one slice, the best first.

    :param places: where the agent with the device listens
    :param routed: by URL, how the consumer's own agent leads there; empty: it has none
    :param front_door: as in the configuration: never, also, only
    """
    through = [way for place in places for way in routed.get(place['url'], ())]
    near = {way['url']: way for way in through if 'via' not in way}  # the device is on the consumer's own host
    onwards = [way for way in through if 'via' in way]
    direct = [] if front_door == 'only' and through else list(places)
    return [*near.values(), *direct, *onwards]
