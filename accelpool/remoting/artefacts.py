# SPDX-License-Identifier: Apache-2.0
"""Where the native parts are: what ``make native`` built into the package.

``ACCELPOOL_NATIVE`` names another directory, for example one built with a sanitizer.
"""

import os
import pathlib

import accelpool
from accelpool import errors

#: Vendor library name of each interface: what a program asks the dynamic loader for.
SONAMES = {'cuda': 'libcuda.so.1', 'acl': 'libascendcl.so'}


def root() -> pathlib.Path:
    """Return the directory with ``lib/`` and ``bin/``."""
    named = os.environ.get('ACCELPOOL_NATIVE')
    return pathlib.Path(named) if named else pathlib.Path(accelpool.__path__[0]) / '_native'


def _existing(path: pathlib.Path) -> pathlib.Path:
    if not path.exists():
        raise errors.NotSupported(f'{path} does not exist; build the native parts with `make native`')
    return path


def worker() -> pathlib.Path:
    """Return the executable that runs sessions (and its fork server)."""
    return _existing(root() / 'bin/accelpool-worker')


def client_library(interface: str) -> pathlib.Path:
    """Return the library that a program loads instead of the vendor's.

    :raises NotSupported: no such interface, or the native parts are not built
    """
    if interface not in SONAMES:
        raise errors.NotSupported(f'there is no client library for the interface {interface}')
    return _existing(root() / 'lib' / interface / SONAMES[interface])


def client_library_dir(interface: str) -> pathlib.Path:
    """Return the directory that goes first on the loader's path."""
    return client_library(interface).parent


def emulated_library(interface: str) -> pathlib.Path:
    """Return the library that answers an interface's calls with an emulated device.

    It may not exist: an inventory without remoting works before the native parts are built.
    """
    return root() / 'lib' / f'libaccelpool-emu{interface}.so'


def emulated_cann_dir() -> pathlib.Path:
    """Return the directory with what a program finds in CANN besides the runtime, for emulated Ascend devices.

    :raises NotSupported: the native parts are not built
    """
    return _existing(root() / 'lib/emulated-cann/libopapi.so').parent
