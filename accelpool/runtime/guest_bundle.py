# SPDX-License-Identifier: Apache-2.0
"""The archive that installs ``accelpool-guest`` into an image: one Python program, the client libraries, a unit."""

import io
import pathlib
import tarfile
import tempfile
import zipapp

import accelpool
from accelpool.runtime.guest import loader

_PACKAGE = pathlib.Path(accelpool.__path__[0])
_MODULES = ('__init__.py', 'cmd/__init__.py', 'cmd/guest.py', 'runtime/__init__.py',
            'runtime/greeting.py', 'runtime/guest/*.py', 'remoting/__init__.py', 'remoting/handshake.py')
#: The same as etc/systemd/accelpool-guest.service, with this archive's paths.
_UNIT = """\
[Unit]
Description=accelpool: slices of remote accelerators
Documentation=https://docs.openstack.org/accelpool
Wants=network-online.target
After=network-online.target cloud-init.service

[Service]
Type=notify
ExecStart=/usr/local/bin/accelpool-guest run
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=1
StateDirectory=accelpool-guest
StateDirectoryMode=0700

[Install]
WantedBy=multi-user.target
"""
_INSTALL = """\
#!/bin/sh
# Installs accelpool-guest; DESTDIR=<root of an image> for an image that does not run.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
install -D -m 755 "$here/accelpool-guest" "${DESTDIR:-}/usr/local/bin/accelpool-guest"
(cd "$here" && find lib -type f) | while read -r file; do
    install -D -m 755 "$here/$file" "${DESTDIR:-}/usr/local/lib/accelpool/${file#lib/}"
done
install -D -m 644 "$here/accelpool-guest.service" "${DESTDIR:-}/etc/systemd/system/accelpool-guest.service"
mkdir -p "${DESTDIR:-}/etc/systemd/system/multi-user.target.wants"
ln -sf ../accelpool-guest.service "${DESTDIR:-}/etc/systemd/system/multi-user.target.wants/accelpool-guest.service"
if [ -z "${DESTDIR:-}" ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl restart accelpool-guest
fi
"""


def make(target: pathlib.Path, libraries: pathlib.Path | None = None) -> None:
    """Write the archive.

    :param libraries: with a directory for each interface; default: those of this installation
    :raises FileNotFoundError: there are none
    """
    place = libraries or next((place for place in loader.PLACES if place.is_dir()), loader.PLACES[0])
    found = sorted(path for path in place.glob('*/*.so*') if path.is_file())
    if not found:
        raise FileNotFoundError(f'there are no client libraries in {place}; build them with `make native`')
    with tarfile.open(target, 'w:gz') as archive:
        _add(archive, 'accelpool-guest', _program(), 0o755)
        _add(archive, 'install.sh', _INSTALL.encode(), 0o755)
        _add(archive, 'accelpool-guest.service', _UNIT.encode(), 0o644)
        for path in found:
            _add(archive, f'lib/{path.relative_to(place)}', path.read_bytes(), 0o755)


def _program() -> bytes:
    """Return the Python part as one executable file."""
    with tempfile.TemporaryDirectory(prefix='accelpool-bundle-') as name:
        root = pathlib.Path(name)
        for pattern in _MODULES:
            for path in sorted(_PACKAGE.glob(pattern)):
                copy = root / 'accelpool' / path.relative_to(_PACKAGE)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
        (root / '__main__.py').write_text('import sys\n\nfrom accelpool.cmd import guest\n\nsys.exit(guest.main())\n')
        packed = io.BytesIO()
        zipapp.create_archive(root, packed, interpreter='/usr/bin/env python3', compressed=True)
        return packed.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(f'accelpool-guest/{name}')
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
