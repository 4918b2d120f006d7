# SPDX-License-Identifier: Apache-2.0
"""WSGI applications behind uWSGI on a loopback port."""

import pathlib

from tools.integration import layout
from tools.integration.process import Service, answers


def service(name: str, application: str, *, env: dict[str, str], venv: pathlib.Path = layout.VENV, processes: int = 1,
            threads: int = 4, path: str = '/', pyargv: str = '', preload: bool = False) -> Service:
    """Return a service that serves ``module:callable`` on the port of its name.

    :param path: what its readiness is asked with
    :param preload: the application is loaded once and then forked, if it can stand that
    """
    command = [
        venv / 'bin/uwsgi', '--http-socket', f'{layout.HOST}:{layout.port(name)}', '--module', application,
        '--procname', f'uwsgi-{name}', '--virtualenv', venv, '--master', '--processes', str(processes),
        '--threads', str(threads), '--enable-threads', '--die-on-term', '--need-app',
        '--buffer-size', '65535', '--add-header', 'Connection: close', '--disable-logging', '--log-5xx']
    if not preload:
        command.append('--lazy-apps')
    if pyargv:
        command += ['--pyargv', pyargv]
    return Service(name, command, ready=lambda: answers(layout.url(name, path)), env=env)
