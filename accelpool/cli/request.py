# SPDX-License-Identifier: Apache-2.0
"""Options that say what is asked for; profiles, allocations, candidates and ``run`` share them."""

import argparse
from typing import Any

#: option (API name) -> (type, help); all default to "not given"
SHAPE: dict[str, tuple[type, str]] = {
    'count': (int, 'number of slices, each on a device of its own'),
    'compute': (int, 'percent points of one device, 1-100'),
    'memory': (int, 'MiB per slice'),
    'isolation': (str, 'whole, partition, shared, mps or any'),
    'template': (str, 'a partition of this name, for example 3g.20gb, instead of compute and memory'),
    'locality': (str, 'host, fabric, remote or any'),
    'technique': (str, 'how a program reaches the slice: interpose'),
    'vendor': (str, 'only devices of this vendor'),
    'model': (str, 'only devices of this model'),
    'pool': (str, 'only devices of this pool'),
    'data_network': (str, 'label of the network that sessions shall take'),
}


def add_shape(parser: argparse.ArgumentParser) -> None:
    """Add the options of a request's shape."""
    group = parser.add_argument_group('what to ask for')
    for name, (kind, text) in SHAPE.items():
        group.add_argument(f'--{name.replace("_", "-")}', type=kind, metavar=f'<{name}>', help=text)
    group.add_argument('--trait', action='append', metavar='<trait>', dest='traits',
                       help='required trait (repeat for several)')
    group.add_argument('--any-trait', action='append', metavar='<trait>', dest='any_traits',
                       help='at least one of these traits (repeat)')
    group.add_argument('--strict', action='store_true', default=None,
                       help='never use idle compute beyond the share')


def add_consumer(parser: argparse.ArgumentParser) -> None:
    """Add the options that say who asks."""
    parser.add_argument('--profile', metavar='<profile>', help='name or id of a profile')
    parser.add_argument('--consumer-host', metavar='<host>', help='host on which the consumer runs')


def given(parsed_args: argparse.Namespace, *more: str) -> dict[str, Any]:
    """Return the body: every option that was given."""
    names = (*SHAPE, 'traits', 'any_traits', 'strict', *more)
    values = {name: getattr(parsed_args, name, None) for name in names}
    return {name: value for name, value in values.items() if value is not None}
