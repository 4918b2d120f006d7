# SPDX-License-Identifier: Apache-2.0
"""Guru meditation reports: on SIGUSR2 a service says what all its threads do, how it is configured (secrets masked) and
which processes it has, on standard error or in a file of ``[oslo_reports] log_dir``.

WSGI servers use the signal themselves: uWSGI's processes say what request they are at, gunicorn replaces itself.
``[oslo_reports] file_event_handler`` names a file that is touched to ask for a report of every process.
"""

import importlib.metadata
import os
import signal
import threading
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

from oslo_config import cfg


def setup(prog: str, *, forks: bool = False) -> None:
    """Be ready to report; ``cfg.CONF`` must have been read.

    :param forks: the process will fork, and a thread of it would be lost: see :func:`of_each_process`
    :raises OSError: the file that is to be touched cannot be looked at
    """
    from oslo_reports import opts

    opts.set_defaults(cfg.CONF)
    if cfg.CONF.oslo_reports.file_event_handler:
        os.stat(cfg.CONF.oslo_reports.file_event_handler)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGUSR2, lambda _number, frame: _report(prog, frame))
    if not forks:
        _watch(prog)


def of_each_process(prog: str, application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Return a WSGI application whose processes look after the file, each from its first request on."""
    watched: set[int] = set()

    def ready(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if (process := os.getpid()) not in watched:
            watched.add(process)
            _watch(f'{prog}-{process}')  # they may report in the same second, to files of different names
        return application(environ, start_response)

    return ready


class _Version:
    """What oslo.reports wants to know of the package."""

    vendor_string = staticmethod(lambda: 'accelpool')
    product_string = staticmethod(lambda: 'accelpool')
    version_string_with_package = staticmethod(lambda: importlib.metadata.version('accelpool'))


def _watch(prog: str) -> None:
    """Report whenever the file is touched, if there is one."""
    if cfg.CONF.oslo_reports.file_event_handler:
        _meditation().setup_autorun(_Version, prog, conf=cfg.CONF)


def _report(prog: str, frame: FrameType | None) -> None:
    _meditation().handle_signal(_Version, prog, cfg.CONF.oslo_reports.log_dir, frame)


def _meditation() -> Any:
    """Return the kind of report, whose 10 MiB of modules a service that is never asked for one does not load.

    It looks for no green threads, of which there are none: that takes hold of every object of the process, also of
    those that other threads are still making, and these fail (SystemError, "bad argument to internal function").
    """
    from oslo_reports import guru_meditation_report

    guru_meditation_report.greenlet = None  # type: ignore[attr-defined]
    return guru_meditation_report.TextGuruMeditation
