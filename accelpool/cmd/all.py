# SPDX-License-Identifier: Apache-2.0
"""``accelpool-all``: the embedded service, in the foreground until SIGTERM or SIGINT."""

import pathlib
import sys
from collections.abc import Sequence

from oslo_config import cfg

from accelpool import clouds, conf, embedded, errors
from accelpool.cmd import signals

#: Seconds that a thread may keep the interpreter while others wait (Python's default is 5 ms).  One request passes
#: through several threads, and each of its many short waits would end with a turn of that length.
SWITCH_INTERVAL = 0.0005

CLI = [
    cfg.StrOpt('state-dir', help='Where everything is kept (default: [embedded] state_dir, then ACCELPOOL_HOME, then '
                                 '~/.local/state/accelpool).'),
    cfg.StrOpt('clouds-yaml', metavar='PATH',
               help='Write an entry "accelpool" into this clouds.yaml when ready; without a value into the one that '
                    'OpenStack clients read.'),
]


def main(argv: Sequence[str] | None = None) -> int:
    sys.setswitchinterval(SWITCH_INTERVAL)
    arguments = list(sys.argv[1:] if argv is None else argv)
    conf.setup(_spell_out(arguments), 'accelpool-all', cli=CLI, files=[])
    named = cfg.CONF.state_dir or cfg.CONF.embedded.state_dir
    service = embedded.Embedded(pathlib.Path(named) if named else embedded.default_state_dir())
    wait = signals.ending()
    try:
        service.start()
    except errors.AccelpoolError as error:
        print(f'accelpool-all: {error.detail}', file=sys.stderr)
        return 1
    if cfg.CONF.clouds_yaml:
        clouds.merge(pathlib.Path(cfg.CONF.clouds_yaml), service.url, embedded.USER, service.password)
    print(f'accelpool is ready: {service.url}', file=sys.stderr, flush=True)
    wait()
    service.stop()
    return 0


def _spell_out(arguments: list[str]) -> list[str]:
    """Give ``--clouds-yaml`` its default value, which oslo.config cannot."""
    spelt = []
    for position, argument in enumerate(arguments):
        spelt.append(argument)
        following = arguments[position + 1:position + 2]
        if argument == '--clouds-yaml' and (not following or following[0].startswith('-')):
            spelt.append(str(clouds.default_path()))
    return spelt


if __name__ == '__main__':
    sys.exit(main())
