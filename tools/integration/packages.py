# SPDX-License-Identifier: Apache-2.0
"""Clients that cannot live beside accelpool's own, each in a virtual environment of its own."""

import pathlib
import sys

from tools.integration import process
from tools.integration.layout import STATE


def install(name: str, *packages: str) -> pathlib.Path:
    """Install what is missing; returns the environment.

    :param packages: pip's requirements, pinned
    """
    venv = STATE / name
    if not (venv / 'installed').exists():
        process.run(sys.executable, '-m', 'venv', venv, log=name)
        process.run(venv / 'bin/pip', 'install', '-q', '--disable-pip-version-check', *packages, log=name)
        (venv / 'installed').touch()
    return venv
