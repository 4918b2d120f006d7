# SPDX-License-Identifier: Apache-2.0
"""``accelpool-agent``: admits sessions on this host's slices and supervises their workers.

It takes its orders from the conductor through a unix socket; it is neither on the message bus nor in the database, and
takes command-line arguments only.  On SIGUSR2 it says on standard error where each of its threads is.
"""

import argparse
import asyncio
import faulthandler
import logging
import pathlib
import signal
import sys
from collections.abc import Sequence

from accelpool.remoting.agent import app, secure
from accelpool.remoting.handshake import Transport


def _policy(options: argparse.Namespace) -> secure.Policy:
    """:raises OSError, ValueError: the certificates cannot be used"""
    transport = secure.CHOICES[options.tls]
    wanted = transport == Transport.TLS_CERTIFICATE
    return secure.Policy(transport, secure.Certificates.load(options.tls_directory) if wanted else None,
                         options.tls_loopback)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog='accelpool-agent', description=__doc__.partition('\n')[0])
    parser.add_argument('--host', required=True, help="this host's name, as its conductor says it")
    parser.add_argument('--state-dir', required=True, type=pathlib.Path, metavar='<dir>')
    parser.add_argument('--listen', action='append', default=[], metavar='tcp://<address>:<port>[,<network>]',
                        help='where sessions come in; repeat for several networks; port 0 takes a free one')
    parser.add_argument('--advertise', action='append', default=[], metavar='tcp://<address>:<port>[,<network>]',
                        help='what clients are told instead of the addresses of --listen; repeat for several networks')
    parser.add_argument('--door', metavar='tcp://127.x.y.z:<port>',
                        help='where consumers of this host come in that do not see its unix socket')
    parser.add_argument('--tls', choices=sorted(secure.CHOICES), default='psk',
                        help='what secures sessions outside of 127.0.0.0/8: a key bound to the credential, or '
                             'certificates on both ends (default: %(default)s)')
    parser.add_argument('--tls-directory', type=pathlib.Path, default='/etc/accelpool/tls', metavar='<dir>',
                        help='ca.pem, server.pem and server.key for --tls certificates (default: %(default)s)')
    parser.add_argument('--tls-loopback', action='store_true', help='TLS inside 127.0.0.0/8 too')
    parser.add_argument('--touched-limit-mib', type=int, default=4096, metavar='<MiB>',
                        help='host memory that emulated devices may really touch (default: %(default)s)')
    parser.add_argument('--start-timeout', type=float, default=25.0, metavar='<seconds>',
                        help="a session's time to open its vendor library and to welcome its client, who waits 30 s "
                             '(default: %(default)g)')
    parser.add_argument('--renewable', type=int, default=3600, metavar='<seconds>',
                        help='how long after an attachment was asked for this agent renews its credentials, so that a '
                             'guest needs the API once in that time only (default: %(default)s; -1: never)')
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format='%(asctime)s %(levelname)s %(name)s %(message)s')
    faulthandler.register(signal.SIGUSR2)
    try:
        asyncio.run(app.run(options.host, options.state_dir, options.listen, options.advertise, options.door,
                            _policy(options), options.touched_limit_mib, options.start_timeout,
                            options.renewable))
    except (OSError, ValueError) as failure:
        print(f'accelpool-agent: {failure}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
