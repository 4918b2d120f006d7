# SPDX-License-Identifier: Apache-2.0
"""Options of accelpool-all, the whole service in one process."""

from oslo_config import cfg

GROUP = 'embedded'

OPTS: list[cfg.Opt] = [
    cfg.ListOpt(
        'hosts', default=['host-a', 'host-b'],
        help='One conductor and one agent for each of these names.  The devices of a host stand in '
             'its section [mock:<host>].'),
    cfg.StrOpt(
        'state_dir', default=None, sample_default='$ACCELPOOL_HOME or ~/.local/state/accelpool',
        help='Directory of everything this service keeps: database, sockets, keys, logs.'),
    cfg.ListOpt(
        'profiles', default=['small:1:30:512MiB'],
        help='Profiles to create at the first start: name:count:compute:memory, for example '
             'small:1:30:512MiB = one slice with 30 % and 512 MiB.  One that exists is left alone.'),
    cfg.PortOpt('port', default=0, help='Port of the API on 127.0.0.1; 0 takes a free one.'),
    cfg.BoolOpt(
        'tls', default=False,
        help='TLS between programs and agents although nothing leaves this machine: to try it, or to measure it.'),
    cfg.StrOpt(
        'touched_memory', default='4GiB',
        help='How much memory of this machine the emulated devices of one host may really touch.  Beyond '
             'it a tenant gets out-of-memory.'),
]
