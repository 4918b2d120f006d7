# SPDX-License-Identifier: Apache-2.0
"""A guest without an account: a token once, a key of its own from then on.

The key is on disk before anybody hears of it, so that a crash between any two steps leaves something to go on with:
``pending.json`` (a token and the key that it shall become), then ``enrolment.json``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
import secrets
from typing import Any

from accelpool.runtime.guest import config, files, offers, remote, standing

_DMI = pathlib.Path('/sys/class/dmi/id/product_uuid')
_NO_OFFER = ('no enrolment token was found',
             'Is a slice allocated to this instance, and is the vendordata endpoint set up? Otherwise get a token with '
             '`accelpool allocation enrol <allocation>` and give it to `accelpool-guest enrol`')


def machine() -> str:
    """Return what tells this machine from a copy of its disk; '' when nothing does."""
    try:
        return _DMI.read_text().strip().lower()
    except OSError:
        return ''


class Enrolled:
    """Keeps the enrolment in the state directory."""

    def __init__(self, conf: config.Config, identity: str | None = None) -> None:
        self._conf = conf
        self._machine = machine() if identity is None else identity
        self._pending = conf.state_dir / 'pending.json'
        self._kept = conf.state_dir / 'enrolment.json'

    def fetch(self) -> standing.Standing:
        """:raises NotNow, Unreachable:"""
        kept = self._read(self._kept)
        if kept is not None:
            try:
                return self._ask(kept)
            except remote.Refused as refusal:
                if refusal.status != 403:
                    raise standing.NotNow(str(refusal), 'See the log of the accelpool API') from refusal
                self._kept.unlink(missing_ok=True)  # another guest has taken our place
        return self._ask(self._enrol())

    def _read(self, path: pathlib.Path) -> dict[str, Any] | None:
        """Return what was kept by this very machine; a copy of its disk must not take its place."""
        found = files.read_json(path)
        return found if found is not None and found.get('machine') == self._machine else None

    def _ask(self, kept: dict[str, Any]) -> standing.Standing:
        answer = remote.call(
            'GET', f'{kept["url"]}/v1/enrolments/{kept["id"]}/attachment', ca_file=self._conf.ca_file,
            headers={'X-Enrolment-Key': kept['key']}).json
        return standing.Standing(kept['consumer'], answer['attachment'], answer['allocations'], answer['renew'])

    def _enrol(self) -> dict[str, Any]:
        pending = self._read(self._pending)
        if pending is not None:
            try:
                return self._exchange(pending)
            except remote.Refused as refusal:
                self._refused(refusal)
        refusals = []
        for offer in offers.find(self._conf):
            try:
                return self._exchange(self._prepare(offer))
            except remote.Refused as refusal:
                self._refused(refusal)
                refusals.append(refusal)
        if refusals:
            raise standing.NotNow(
                f'the token was refused: {refusals[-1]}',
                'A token is good once and for ten minutes; reboot the instance, or get a fresh one with '
                '`accelpool allocation enrol <allocation>` and give it to `accelpool-guest enrol`')
        raise standing.NotNow(*_NO_OFFER)

    def _prepare(self, offer: offers.Offer) -> dict[str, Any]:
        pending = {**dataclasses.asdict(offer), 'url': offer.url.rstrip('/'), 'machine': self._machine,
                   'key': secrets.token_urlsafe(32)}
        files.write_json(self._pending, pending)
        return pending

    def _exchange(self, pending: dict[str, Any]) -> dict[str, Any]:
        answer = remote.call('POST', f'{pending["url"]}/v1/enrolments', ca_file=self._conf.ca_file, body={
            'token': pending['token'], 'consumer_id': pending['consumer'],
            'key_digest': hashlib.sha256(pending['key'].encode()).hexdigest()}).json
        kept = {name: pending[name] for name in ('url', 'consumer', 'key', 'machine')}
        kept['id'] = answer['id']
        files.write_json(self._kept, kept)
        self._pending.unlink(missing_ok=True)
        offers.forget_given(self._conf)
        return kept

    def _refused(self, refusal: remote.Refused) -> None:
        """Another guest lives: our token may be good later.  Everything else is final for this token."""
        if refusal.status == 409:
            raise standing.NotNow(
                str(refusal), 'If this instance was rebuilt, it takes its former place within a few minutes; otherwise '
                'somebody else has enrolled in its name: delete the allocation') from refusal
        self._pending.unlink(missing_ok=True)
        offers.forget_given(self._conf)
