# SPDX-License-Identifier: Apache-2.0
"""Copies the Python packages that the service needs into a directory, for a machine without a network.

What is needed is found by loading the service and looking at what came with it; the metadata goes along, because
plug-ins are found in it.
"""

import importlib
import importlib.metadata
import pathlib
import shutil
import sys

#: Loading these loads everything that the hardware suite uses.
ROOTS = ('accelpool.cmd.all', 'accelpool.cmd.agent', 'accelpool.cli.shell', 'accelpool.cli.run', 'accelpool.api.app',
         'accelpool.cli.allocation', 'accelpool.cli.device', 'accelpool.drivers.nvidia', 'accelpool.drivers.mock',
         'accelpool.db.migration', 'accelpool.drivers.mock.ptx', 'pynvml', 'oslo_messaging._drivers.impl_rabbit',
         'kombu.transport.memory', 'sqlalchemy.dialects.sqlite', 'keystoneauth1.loading',
         'oslo_reports.guru_meditation_report', 'oslo_reports.opts', 'openstack', 'openstack.config',
         'openstack.config.loader', 'openstack.connection', 'osc_lib.command.command', 'cliff.formatters.json_format')
#: Parts of packages that no service runs.
LEFT_OUT = shutil.ignore_patterns('__pycache__', 'tests', 'test', 'testing', '*.pyi', 'locale', 'locale-data',
                                  'oui.*', 'iab.*')


def main(target: pathlib.Path) -> None:
    """Fill ``target`` anew."""
    for root in ROOTS:
        importlib.import_module(root)
    files = [pathlib.Path(module.__file__) for module in list(sys.modules.values())
             if getattr(module, '__file__', None) and 'site-packages' in module.__file__]
    site = next(parent for parent in files[0].parents if parent.name == 'site-packages')
    names = {path.relative_to(site).parts[0] for path in files if site in path.parents}
    names = {name for name in names if not name.startswith(('_', 'pip', 'setuptools', 'pkg_resources'))}
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in sorted(names):
        place = site / name
        if place.is_dir():
            shutil.copytree(place, target / name, ignore=LEFT_OUT)
        else:
            shutil.copy(place, target / name)
    wanted = {name.split('.')[0] for name in names} | {'accelpool'}
    owners = importlib.metadata.packages_distributions()
    for distribution in {owner for name in wanted for owner in owners.get(name, [name])}:
        try:
            found = importlib.metadata.distribution(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
        place = target / f'{distribution.replace("-", "_")}-{found.version}.dist-info'
        place.mkdir(exist_ok=True)
        for file in ('METADATA', 'entry_points.txt'):
            text = found.read_text(file) or (found.read_text('PKG-INFO') if file == 'METADATA' else None)
            if text:
                (place / file).write_text(text)


if __name__ == '__main__':
    main(pathlib.Path(sys.argv[1]))
