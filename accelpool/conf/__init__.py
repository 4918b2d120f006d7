# SPDX-License-Identifier: Apache-2.0
"""Configuration: one file per option group.

Each module here defines ``GROUP``, the section's name, and ``OPTS``, its options; ``SERVICE`` where the group also says
how another service of OpenStack is reached (:mod:`accelpool.ksa`).  Adding a file adds the group; nothing else has to
know of it.  oslo.messaging needs the global
``cfg.CONF``, so everybody uses that.
"""

import importlib
import pathlib
import pkgutil
from collections.abc import Iterator, Sequence

from oslo_config import cfg
from oslo_log import log as logging

from accelpool import reports

CONF = cfg.CONF


def _groups(*, services: bool = True, sample: bool = False) -> Iterator[tuple[str, list[cfg.Opt]]]:
    for module in pkgutil.iter_modules(__path__):
        group = importlib.import_module(f'{__name__}.{module.name}')
        options: list[cfg.Opt] = list(group.OPTS)
        if services and hasattr(group, 'SERVICE'):
            from accelpool import ksa  # 7 MiB that not every process needs

            options += ksa.options(group.SERVICE) + (ksa.plugin_options() if sample else [])
        yield group.GROUP, options


def register_all(conf: cfg.ConfigOpts = CONF, *, services: bool = True) -> None:
    """Make every option of every group readable; harmless when done before.

    :param services: False: but those that say how other services of OpenStack are reached
    """
    for name, opts in _groups(services=services):
        conf.register_opts(opts, group=name)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return all groups for oslo-config-generator (entry point ``oslo.config.opts``)."""
    return list(_groups(sample=True))


def setup(
    argv: Sequence[str], prog: str, *, cli: Sequence[cfg.Opt] = (),
    files: Sequence[pathlib.Path] | None = None, services: bool = True, forks: bool = False,
) -> None:
    """Read command line and configuration files, and start logging: the first step of every executable.

    :param argv: the arguments after the program's name
    :param prog: the executable's name, for ``--help`` and for its own ``<prog>.conf``
    :param cli: command-line options of this executable alone
    :param files: configuration files when ``--config-file`` names none; None = the usual places
    :param services: False: the executable talks to no other service of OpenStack
    :param forks: the process will fork, so no thread may start yet
    """
    register_all(services=services)
    CONF.register_cli_opts(list(cli))
    logging.register_options(CONF)
    logging.set_defaults(default_log_levels=[
        *logging.get_default_log_levels(), 'oslo.messaging=INFO', 'oslo_messaging=INFO', 'kombu=INFO',
        'oslo_service.backend=WARNING',
    ])
    CONF(list(argv), project='accelpool', prog=prog,
         default_config_files=None if files is None else [str(path) for path in files])
    logging.setup(CONF, 'accelpool')
    reports.setup(prog, forks=forks)
