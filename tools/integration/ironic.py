# SPDX-License-Identifier: Apache-2.0
"""Standalone Ironic (one process, SQLite, fake hardware) with accelpool's plugin, in an environment of its own.

``ACCELPOOL_IRONIC_VENV`` names that environment; it is made when it is needed first (2 minutes).
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any

ROOT = pathlib.Path(__file__).parents[2]
VENV = pathlib.Path(os.environ.get('ACCELPOOL_IRONIC_VENV', ROOT / '.venv-ironic'))
VERSION = '39.0.0'
#: Seconds for everything that Ironic does here.
PATIENCE = 90
MICROVERSION = '1.80'

_CONFIG = """\
[DEFAULT]
auth_strategy = noauth
rpc_transport = none
host = ironic1
my_ip = 127.0.0.1
state_path = {place}
enabled_hardware_types = accelpool-fake
enabled_bios_interfaces = fake
enabled_boot_interfaces = fake
enabled_console_interfaces = no-console
enabled_deploy_interfaces = accelpool-fake
enabled_firmware_interfaces = no-firmware
enabled_inspect_interfaces = no-inspect
enabled_management_interfaces = fake
enabled_network_interfaces = noop
enabled_power_interfaces = fake
enabled_raid_interfaces = fake
enabled_rescue_interfaces = no-rescue
enabled_storage_interfaces = noop
enabled_vendor_interfaces = fake
[api]
host_ip = 127.0.0.1
port = {port}
api_workers = 1
[conductor]
automated_clean = true
http_url = http://127.0.0.1:1
[deploy]
http_url = http://127.0.0.1:1
http_root = {place}/http
[pxe]
images_path = {place}/images
[database]
connection = sqlite:///{place}/ironic.db
[oslo_concurrency]
lock_path = {place}/locks
[accelpool]
{account}
"""


def install() -> None:
    """Make the environment unless it is there."""
    if (VENV / 'bin/ironic').exists():
        return
    subprocess.run([sys.executable, '-m', 'venv', str(VENV)], check=True)
    pip = (str(VENV / 'bin/pip'), 'install', '-q', '--disable-pip-version-check')
    subprocess.run([*pip, f'ironic=={VERSION}'], check=True)


class Ironic:
    """One running Ironic, and the requests that a test makes."""

    def __init__(self, place: pathlib.Path, port: int, account: str) -> None:
        """
        :param account: the section [accelpool] of ironic.conf
        """
        self._place = place
        self._url = f'http://127.0.0.1:{port}/v1'
        self._config = place / 'ironic.conf'
        self._config.write_text(_CONFIG.format(place=place, port=port, account=account))
        # What `pip install accelpool` would leave there: the entry points, and the package.
        subprocess.run([sys.executable, 'setup.py', '-q', 'egg_info', '--egg-base', str(place)], check=True, cwd=ROOT,
                       capture_output=True, env={**os.environ, 'PBR_VERSION': '0'})
        self._environment = {**os.environ, 'PYTHONPATH': f'{place}:{ROOT}'}
        subprocess.run([str(VENV / 'bin/ironic-dbsync'), '--config-file', str(self._config), 'create_schema'],
                       check=True, capture_output=True, env=self._environment)
        self.start()

    @property
    def log(self) -> str:
        return (self._place / 'ironic.log').read_text()

    def start(self) -> None:
        with (self._place / 'ironic.log').open('a') as log:
            self.process = subprocess.Popen([str(VENV / 'bin/ironic'), '--config-file', str(self._config)],
                                            stdout=log, stderr=log, env=self._environment, start_new_session=True)
        self._wait(self._answers, 'Ironic answers')

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f'Ironic ended:\n{self.log}')
        try:
            return bool(self.call('GET', '/drivers')['drivers'])
        except OSError:
            return False

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """As a power cut does: it and what it has forked."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """:raises urllib.error.HTTPError: Ironic refuses"""
        request = urllib.request.Request(
            self._url + path, method=method, data=None if body is None else json.dumps(body).encode(),
            headers={'Content-Type': 'application/json', 'Accept': 'application/json',
                     'X-OpenStack-Ironic-API-Version': MICROVERSION})
        with urllib.request.urlopen(request, timeout=30) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def enrol(self, name: str, **instance_info: str) -> str:
        """Make a node that is available; returns its id."""
        node = self.call('POST', '/nodes', {
            'driver': 'accelpool-fake', 'name': name, 'resource_class': 'baremetal',
            'instance_info': {'image_source': 'http://127.0.0.1:1/image', 'image_checksum': '0' * 32, 'root_gb': 1,
                              **instance_info}})['uuid']
        self.to(node, 'manage', 'manageable')
        self.to(node, 'provide', 'available')
        return str(node)

    def name_profile(self, node: str, profile: str) -> None:
        """Say which slices a node shall get, and from which image it shall be deployed."""
        for key, value in (('accelpool_profile', profile), ('image_source', 'http://127.0.0.1:1/image'),
                           ('image_checksum', '0' * 32), ('root_gb', '1')):
            self.call('PATCH', f'/nodes/{node}', [{'op': 'add', 'path': f'/instance_info/{key}', 'value': value}])

    def node(self, node: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call('GET', f'/nodes/{node}')
        return found

    def to(self, node: str, target: str, wanted: str, **more: Any) -> dict[str, Any]:
        """Ask for a provision state, and wait for what shall come of it; returns the node."""
        def ask() -> bool:
            try:
                self.call('PUT', f'/nodes/{node}/states/provision', {'target': target, **more})
            except urllib.error.HTTPError as refusal:
                if refusal.code == 409:  # the node is locked for a moment
                    return False
                raise AssertionError(refusal.read().decode()) from refusal
            return True

        self._wait(ask, f'{target} is taken')
        self._wait(lambda: self.node(node)['provision_state'] == wanted, f'{node} is {wanted}',
                   lambda: f'{self.node(node)["provision_state"]}: {self.node(node)["last_error"]}')
        return self.node(node)

    def _wait(self, condition: Any, what: str, seen: Any = lambda: '') -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f'not so after {PATIENCE} s: {what}; {seen()}')
            time.sleep(0.1)
