# SPDX-License-Identifier: Apache-2.0
"""``accelpool-guest``: brings the slices of an instance, or of a node, to its programs.

It runs inside of the guest, as root, and needs Python 3.9 and its standard library only.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import time
from collections.abc import Sequence

from accelpool.runtime.guest import config, keeper, offers, owner, remote, report

#: Seconds between two looks of ``wait``.
_LOOK = 0.2


def run(conf: config.Config, _options: argparse.Namespace) -> int:
    return keeper.serve(conf)


def status(conf: config.Config, options: argparse.Namespace) -> int:
    found = report.read(conf)
    print(json.dumps(found, indent=1) if options.json else report.text(found))
    return 0 if found['state'] == 'attached' else 1


def wait(conf: config.Config, options: argparse.Namespace) -> int:
    deadline = time.monotonic() + options.timeout
    while report.read(conf)['state'] != 'attached':
        if time.monotonic() > deadline:
            print(report.text(report.read(conf)), file=sys.stderr)
            return 1
        time.sleep(_LOOK)
    return 0


def enrol(conf: config.Config, options: argparse.Namespace) -> int:
    token = sys.stdin.readline().strip()
    if not token:
        print('accelpool-guest: give the token on standard input', file=sys.stderr)
        return 2
    offers.give(conf, offers.Offer(options.url, token, options.consumer))
    print('The token is used with the next attempt; see: accelpool-guest status')
    return 0


def release(conf: config.Config, _options: argparse.Namespace) -> int:
    if not conf.account:
        print('accelpool-guest: what an instance has is released with the instance', file=sys.stderr)
        return 2
    found = owner.Owner(conf).release()
    print(f'Released {found}' if found else 'There was nothing to release')
    return 0


def bundle(conf: config.Config, options: argparse.Namespace) -> int:
    from accelpool.runtime import guest_bundle  # not part of the bundle itself

    guest_bundle.make(options.file, conf.libraries)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='accelpool-guest', description=(__doc__ or '').partition('\n')[0])
    parser.add_argument('--config-file', type=pathlib.Path, metavar='<file>', help=f'default: {config.DEFAULT}')
    verbs = parser.add_subparsers(required=True, metavar='<command>')
    verbs.add_parser('run', help='keep the slices of this machine in use (the systemd unit does this)') \
        .set_defaults(act=run)
    shown = verbs.add_parser('status', help='what there is, and what to do; exits 0 when there are devices')
    shown.add_argument('--json', action='store_true')
    shown.set_defaults(act=status)
    waiting = verbs.add_parser('wait', help='return when there are devices')
    waiting.add_argument('--timeout', type=float, default=60, metavar='<seconds>')
    waiting.set_defaults(act=wait)
    token = verbs.add_parser('enrol', help='take an enrolment token from standard input')
    token.add_argument('--url', required=True, help='of the API, without /v1')
    token.add_argument('--consumer', required=True, help='whom the token is for: the instance id')
    token.set_defaults(act=enrol)
    verbs.add_parser('release', help='give the allocation back (with an account of its own)').set_defaults(act=release)
    packed = verbs.add_parser('bundle', help='make an archive that installs this into a guest')
    packed.add_argument('file', type=pathlib.Path, metavar='<file>.tar.gz')
    packed.set_defaults(act=bundle)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    try:
        conf = config.load(options.config_file or config.DEFAULT, required=options.config_file is not None)
        return int(options.act(conf, options))
    except (config.Invalid, remote.Unreachable, remote.Refused, OSError) as failure:
        print(f'accelpool-guest: {failure}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())
