# SPDX-License-Identifier: Apache-2.0
"""Certificates of an operator's authority for tests, and those of a stranger."""

import pathlib
import subprocess


def _authority(place: pathlib.Path, name: str) -> None:
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ed25519', '-nodes', '-days', '30', '-subj', f'/CN={name}',
                    '-addext', 'basicConstraints=critical,CA:TRUE', '-keyout', place / f'{name}.key',
                    '-out', place / f'{name}.pem'], check=True, capture_output=True)


def _leaf(place: pathlib.Path, name: str, authority: str, address: str) -> None:
    request, extensions = place / f'{name}.csr', place / f'{name}.ext'
    extensions.write_text(f'subjectAltName=IP:{address}\n')
    subprocess.run(['openssl', 'req', '-newkey', 'ed25519', '-nodes', '-subj', f'/CN={name}',
                    '-keyout', place / f'{name}.key', '-out', request], check=True, capture_output=True)
    subprocess.run(['openssl', 'x509', '-req', '-in', request, '-CA', place / f'{authority}.pem',
                    '-CAkey', place / f'{authority}.key', '-CAcreateserial', '-days', '30',
                    '-extfile', extensions, '-out', place / f'{name}.pem'], check=True, capture_output=True)


def make(place: pathlib.Path, address: str = '127.0.0.1') -> list[pathlib.Path]:
    """Fill ``place`` with ca, server, client (of the authority) and stranger (of another): ``.pem`` and ``.key``.

    Returns the authority, then certificate and key of the three.
    """
    _authority(place, 'ca')
    _authority(place, 'other')
    for name, authority in (('server', 'ca'), ('client', 'ca'), ('stranger', 'other')):
        _leaf(place, name, authority, address)
    return [place / 'ca.pem', *(place / f'{name}.{kind}' for name in ('server', 'client', 'stranger')
                                for kind in ('pem', 'key'))]
