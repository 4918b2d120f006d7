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
    """``accelpool-all`` in a temporary place, and the environment that selects it."""

    def __init__(self, place: pathlib.Path, options: str = '') -> None:
        self.place = place
        (place / 'extra.conf').write_text(options)
        self.clouds = place / 'clouds.yaml'
        self.environment = {
            **os.environ, 'ACCELPOOL_HOME': str(place / 'state'), 'OS_CLOUD': 'accelpool',
            'OS_CLIENT_CONFIG_FILE': str(self.clouds),
            'PATH': f'{pathlib.Path(sys.executable).parent}:{os.environ["PATH"]}'}
        self.start()

    def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        self.clouds.unlink(missing_ok=True)
        with (self.place / 'service.log').open('ab') as log:
            self.process = subprocess.Popen(
                [str(pathlib.Path(sys.executable).with_name('accelpool-all')),
                 '--config-file', str(CONFIG), '--config-file', str(self.place / 'extra.conf'), '--clouds-yaml'],
                env=self.environment, stdout=log, stderr=log)
        while not self.clouds.exists():
            if self.process.poll() is not None:
                raise RuntimeError(f'the service did not start:\n{self.log()}')
            time.sleep(0.05)

    def log(self) -> str:
        return (self.place / 'service.log').read_text()

    def kill_and_restart(self) -> None:
        """As a power cut would do it, to this process alone."""
        self.process.kill()
        self.process.wait()
        self.start()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)

    def accelpool(self, *arguments: str) -> list[str]:
        """Return the command line of the CLI of this very interpreter's environment."""
        return [str(pathlib.Path(sys.executable).with_name('accelpool')), *arguments]


@contextlib.contextmanager
def running(options: str = '') -> Iterator[Service]:
    """Start the service of etc/accelpool/quickstart.conf; stop it and remove everything afterwards.

    :param options: configuration on top of that
    """
    with tempfile.TemporaryDirectory(prefix='accelpool-bench-') as place:
        service = Service(pathlib.Path(place), options)
        try:
            yield service
        finally:
            service.stop()
