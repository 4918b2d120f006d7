# SPDX-License-Identifier: Apache-2.0
"""Sphinx configuration; references to options and policies are generated from the code."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

project = 'accelpool'
copyright = 'the accelpool developers'
extensions = [
    'sphinx.ext.autodoc', 'sphinx.ext.graphviz', 'oslo_config.sphinxext', 'oslo_policy.sphinxext',
    'reno.sphinxext', 'cliff.sphinxext', 'openstackdocstheme',
]
html_theme = 'openstackdocs'
openstackdocs_auto_name = False
exclude_patterns = ['**/generated/*.inc']
autodoc_member_order = 'bysource'

# What the pages include is made here, so that it cannot be older than the code.
_generated = pathlib.Path(__file__).parent / 'generated'
_generated.mkdir(exist_ok=True)
(_generated / 'states.dot').write_text(subprocess.run(
    [sys.executable, '-m', 'accelpool.allocations.states'], cwd=ROOT, check=True,
    capture_output=True, text=True).stdout)
subprocess.run([sys.executable, '-m', 'accelpool.remoting.generator', '--out', str(ROOT / 'build/doc/gen')],
               cwd=ROOT, check=True)
for _api in ('cuda', 'acl', 'nvml'):
    (_generated / f'{_api}_coverage.rst').write_text((ROOT / f'build/doc/gen/{_api}_coverage.rst').read_text())
