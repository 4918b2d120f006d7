# SPDX-License-Identifier: Apache-2.0
"""Guru meditation reports: on SIGUSR2 a service says what all its threads do, how it is configured (secrets masked) and
which processes it has, on standard error or in a file of ``[oslo_reports] log_dir``.

Behind a WSGI server that uses the signal itself (gunicorn), ``[oslo_reports] file_event_handler`` names a file;
touching it asks for a report.
"""

import importlib.metadata
import signal
import threading
from types import FrameType

from oslo_config import cfg


def setup(prog: str) -> None:
    """Be ready to report; ``cfg.CONF`` must have been read."""
    from oslo_reports import opts

    opts.set_defaults(cfg.CONF)
    if cfg.CONF.oslo_reports.file_event_handler:
        from oslo_reports import guru_meditation_report

        guru_meditation_report.TextGuruMeditation.setup_autorun(_Version, prog, conf=cfg.CONF)
    elif threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGUSR2, lambda _number, frame: _report(prog, frame))


class _Version:
    """What oslo.reports wants to know of the package."""

    vendor_string = staticmethod(lambda: 'accelpool')
    product_string = staticmethod(lambda: 'accelpool')
    version_string_with_package = staticmethod(lambda: importlib.metadata.version('accelpool'))


def _report(prog: str, frame: FrameType | None) -> None:
    # 10 MiB of modules that a service which is never asked for a report does not load.
    from oslo_reports import guru_meditation_report

    guru_meditation_report.TextGuruMeditation.handle_signal(_Version, prog, cfg.CONF.oslo_reports.log_dir, frame)
