# SPDX-License-Identifier: Apache-2.0
"""``/etc/accelpool/guest.conf``.  Nothing in it is needed in an instance."""

from __future__ import annotations

import configparser
import dataclasses
import os
import pathlib

DEFAULT = pathlib.Path('/etc/accelpool/guest.conf')
#: What Nova's metadata service answers on, from inside of a guest.
METADATA = 'http://169.254.169.254'

KNOWN = {
    'guest': {'state_dir', 'run_dir', 'users', 'loader', 'libraries', 'loader_file', 'ca_file', 'metadata',
              'config_drive'},
    'account': {'auth_url', 'application_credential_id', 'application_credential_secret_file', 'region', 'interface',
                'endpoint', 'username', 'password_file'},
    'allocation': {'id', 'profile', 'ttl', 'name'},
}
LOADERS = ('ldconfig', 'environment', 'none')


class Invalid(Exception):
    """The configuration cannot work; the message says where."""


@dataclasses.dataclass(frozen=True)
class Config:
    """The file's content, with defaults."""

    state_dir: pathlib.Path = pathlib.Path('/var/lib/accelpool-guest')   # the key; survives a reboot
    run_dir: pathlib.Path = pathlib.Path('/run/accelpool-guest')         # attachments and status; does not
    users: tuple[str, ...] = ('root',)
    loader: str = 'ldconfig'
    libraries: pathlib.Path | None = None
    loader_file: pathlib.Path = pathlib.Path('/etc/ld.so.conf.d/00-accelpool.conf')
    ca_file: str | None = None
    metadata: str = METADATA
    config_drive: pathlib.Path | None = None
    account: dict[str, str] = dataclasses.field(default_factory=dict)
    allocation: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def status_file(self) -> pathlib.Path:
        return self.run_dir / 'status.json'

    @property
    def lock_file(self) -> pathlib.Path:
        return self.run_dir / 'lock'


def load(path: pathlib.Path, *, required: bool = False) -> Config:
    """:raises Invalid: it cannot be read, or says something that is not known"""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        text = path.read_text()
    except FileNotFoundError:
        if required:
            raise Invalid(f'{path} does not exist') from None
        return Config()
    except OSError as failure:
        raise Invalid(f'{path}: {failure.strerror}') from failure
    try:
        parser.read_string(text, str(path))
    except configparser.Error as failure:
        raise Invalid(str(failure)) from failure
    for section in parser.sections():
        unknown = set(parser[section]) - KNOWN.get(section, set())
        if section not in KNOWN or unknown:
            raise Invalid(f'{path}: [{section}] {", ".join(sorted(unknown))} is not known')
    return _made(path, parser)


def _made(path: pathlib.Path, parser: configparser.ConfigParser) -> Config:
    guest = dict(parser['guest']) if parser.has_section('guest') else {}
    values: dict[str, object] = {name: pathlib.Path(guest[name]) for name in (
        'state_dir', 'run_dir', 'libraries', 'loader_file', 'config_drive') if guest.get(name)}
    values.update({name: guest[name] for name in ('loader', 'ca_file', 'metadata') if name in guest})
    if 'users' in guest:
        values['users'] = tuple(name.strip() for name in guest['users'].split(',') if name.strip())
    if values.get('loader', 'ldconfig') not in LOADERS:
        raise Invalid(f'{path}: [guest] loader is one of {", ".join(LOADERS)}, not {values["loader"]}')
    account = dict(parser['account']) if parser.has_section('account') else {}
    allocation = dict(parser['allocation']) if parser.has_section('allocation') else {}
    if account and not ({'auth_url', 'endpoint'} & set(account)):
        raise Invalid(f'{path}: [account] needs auth_url (Keystone) or endpoint (standalone service)')
    if account and not ({'id', 'profile'} & set(allocation)):
        raise Invalid(f'{path}: [allocation] needs a profile, or the id of an allocation that exists')
    if not allocation.get('ttl', '900').isdigit():
        raise Invalid(f'{path}: [allocation] ttl is a number of seconds')
    return Config(account=account, allocation=allocation, **values)  # type: ignore[arg-type]


def secret(path: str) -> str:
    """Return the content of a file that only its owner may read.

    :raises Invalid: there is none, or others may read it
    """
    try:
        with open(path) as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise Invalid(f'{path} holds a secret: make it readable by its owner only (chmod 600)')
            return file.read().strip()
    except OSError as failure:
        raise Invalid(f'{path}: {failure.strerror}') from failure
