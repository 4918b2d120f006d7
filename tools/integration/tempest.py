# SPDX-License-Identifier: Apache-2.0
"""Cyborg's own API tests, cyborg-tempest-plugin from PyPI, in an environment of their own."""

import re
import subprocess

from tools.integration import layout, packages, process
from tools.integration.layout import ETC, LOG, PASSWORD, STATE

PACKAGES = ('tempest==47.0.0', 'cyborg-tempest-plugin==2.8.0')
_CONFIG = """\
[DEFAULT]
log_dir = {log}
log_file = tempest.log
[auth]
use_dynamic_credentials = true
create_isolated_networks = false
admin_username = admin
admin_password = {password}
admin_project_name = admin
admin_domain_name = Default
[identity]
uri_v3 = {keystone}
auth_version = v3
region = {region}
[service_available]
cyborg = true
nova = false
glance = false
neutron = false
cinder = false
swift = false
horizon = false
[cyborg_policy]
enforce_new_defaults = true
[oslo_concurrency]
lock_path = {state}
"""
#: What unittest says of one test: its name, the tags of testtools, the outcome.
_SAID = re.compile(
    r'^cyborg_tempest_plugin\.tests\.api\.(\w+)\.\w+\.(\w+)\S* \.\.\. (ok|FAIL|ERROR|skipped)', re.MULTILINE)


def run() -> dict[str, str]:
    """Install what is missing, and run all; returns each test's outcome in lower case, by ``module.test``."""
    venv = packages.install('tempest', *PACKAGES)
    layout.write(ETC / 'tempest/tempest.conf', _CONFIG.format(
        log=LOG, password=PASSWORD, keystone=layout.url('keystone', '/v3'), region=layout.REGION, state=venv))
    site = next((venv / 'lib').glob('python3*')) / 'site-packages'
    done = subprocess.run(
        [venv / 'bin/python', '-m', 'unittest', 'discover', '-v', '-s', site / 'cyborg_tempest_plugin/tests/api',
         '-t', site], cwd=STATE, capture_output=True, text=True,
        env=process.environment() | {'TEMPEST_CONFIG_DIR': str(ETC / 'tempest'), 'TEMPEST_CONFIG': 'tempest.conf'})
    (LOG / 'tempest-api.log').write_text(done.stderr)
    return {f'{module}.{test}': outcome.lower() for module, test, outcome in _SAID.findall(done.stderr)}
