# SPDX-License-Identifier: Apache-2.0
"""Where a guest may find an enrolment token: its own state directory, the config drive, the metadata service."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

from accelpool.runtime.guest import config, files, remote

_DOCUMENT = 'openstack/latest/vendor_data2.json'
_DRIVE = pathlib.Path('/dev/disk/by-label/config-2')
#: Seconds for the metadata service, which is near or not there at all.
_PATIENCE = 5


@dataclasses.dataclass(frozen=True)
class Offer:
    """A token, for whom, and where to take it."""

    url: str
    token: str
    consumer: str


def find(conf: config.Config) -> Iterator[Offer]:
    """Yield what is offered, the most particular place first."""
    for source in (_given, _on_drive, _from_metadata):
        found = source(conf)
        if found is not None:
            yield found


def give(conf: config.Config, offer: Offer) -> None:
    """Leave an offer where the keeper looks first (``accelpool-guest enrol``)."""
    files.write_json(conf.state_dir / 'offer.json', dataclasses.asdict(offer))


def forget_given(conf: config.Config) -> None:
    (conf.state_dir / 'offer.json').unlink(missing_ok=True)


def parse(document: Any) -> Offer | None:
    """Find the offer in a vendor data document: at its top, or in one of Nova's targets, whatever its name."""
    if not isinstance(document, dict):
        return None
    for place in (document, *document.values()):
        entry = place.get('accelpool') if isinstance(place, dict) else None
        if isinstance(entry, dict):
            with contextlib.suppress(KeyError):
                return Offer(str(entry['url']), str(entry['token']), str(entry['consumer']))
    return None


def _given(conf: config.Config) -> Offer | None:
    return parse({'accelpool': files.read_json(conf.state_dir / 'offer.json')})


def _from_metadata(conf: config.Config) -> Offer | None:
    if not conf.metadata:
        return None
    with contextlib.suppress(remote.Unreachable, remote.Refused):
        return parse(remote.call('GET', f'{conf.metadata}/{_DOCUMENT}', timeout=_PATIENCE).json)
    return None


def _on_drive(conf: config.Config) -> Offer | None:
    if conf.config_drive is not None:
        return _read(conf.config_drive)
    if not _DRIVE.exists():
        return None
    with tempfile.TemporaryDirectory(prefix='accelpool-config-') as place:
        mounted = subprocess.run(['mount', '-o', 'ro,nosuid,nodev,noexec', str(_DRIVE), place], check=False,
                                 capture_output=True)
        if mounted.returncode:
            return None
        try:
            return _read(pathlib.Path(place))
        finally:
            subprocess.run(['umount', place], check=False, capture_output=True)


def _read(place: pathlib.Path) -> Offer | None:
    with contextlib.suppress(OSError, ValueError):
        return parse(json.loads((place / _DOCUMENT).read_text()))
    return None
