# SPDX-License-Identifier: Apache-2.0
"""An embedded service in a temporary place, for the length of one measurement."""

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

CONFIG = pathlib.Path(__file__).parents[2] / 'etc/accelpool/quickstart.conf'


class Service:
    """A running ``accelpool-all`` and the environment that selects it."""

    def __init__(self, process: 'subprocess.Popen[bytes]', environment: dict[str, str]) -> None:
        self.process = process
        self.environment = environment

    def accelpool(self, *arguments: str) -> list[str]:
        """Return the command line of the CLI of this very interpreter's environment."""
        return [str(pathlib.Path(sys.executable).with_name('accelpool')), *arguments]


@contextlib.contextmanager
def running() -> Iterator[Service]:
    """Start the service of etc/accelpool/quickstart.conf; stop it and remove everything afterwards."""
    with tempfile.TemporaryDirectory(prefix='accelpool-bench-') as place:
        clouds = pathlib.Path(place, 'clouds.yaml')
        environment = {**os.environ, 'ACCELPOOL_HOME': f'{place}/state', 'OS_CLOUD': 'accelpool',
                       'OS_CLIENT_CONFIG_FILE': str(clouds),
                       'PATH': f'{pathlib.Path(sys.executable).parent}:{os.environ["PATH"]}'}
        with pathlib.Path(place, 'service.log').open('wb') as log:
            process = subprocess.Popen(
                [str(pathlib.Path(sys.executable).with_name('accelpool-all')),
                 '--config-file', str(CONFIG), '--clouds-yaml'],
                env=environment, stdout=log, stderr=log)
        try:
            while not clouds.exists():
                if process.poll() is not None:
                    sys.exit('the service did not start:\n' + pathlib.Path(log.name).read_text())
                time.sleep(0.05)
            yield Service(process, environment)
        finally:
            process.terminate()
            process.wait(30)
