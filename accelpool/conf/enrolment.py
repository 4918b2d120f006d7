# SPDX-License-Identifier: Apache-2.0
"""How guests and nodes without an account of their own come to their slices."""

from oslo_config import cfg

GROUP = 'enrolment'

OPTS: list[cfg.Opt] = [
    cfg.URIOpt(
        'url', schemes=['http', 'https'],
        help='Where guests reach the API, without /v1: its public endpoint, from inside tenant networks.  Guests of '
             'instances are told so through vendordata; without it no token is given out there.'),
    cfg.IntOpt(
        'token_lifetime', default=600, min=10,
        help='Seconds in which an enrolment token must have been exchanged.'),
    cfg.IntOpt(
        'lapse', default=300, min=1,
        help='Seconds without a sign of life after which another guest may take the place of the enrolled one (an '
             'instance that was rebuilt).  Until then every further token of the instance is refused: its metadata, '
             'which hold one, can be read by all users of the guest.'),
    cfg.IntOpt(
        'renewal', default=100, min=1,
        help='Seconds after which guests have their credentials renewed: by the agents, and every fifth time they ask '
             'the API for what is new.  Less than half of [agent] credential_lifetime, and a third of lapse at most.'),
    cfg.ListOpt(
        'vendordata_roles', default=['service', 'admin'],
        help='Roles of the service users (Nova) that the vendordata endpoint answers; one of them is enough.'),
]
