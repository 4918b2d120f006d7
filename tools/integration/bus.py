# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ: a node and an epmd of its own, two virtual hosts, a TLS listener with a generated authority."""

import base64
import hashlib
import json
import os
import secrets

from tools.integration import layout
from tools.integration.layout import DATA, ETC, HOST, PASSWORD
from tools.integration.process import Service, listens, run

#: Virtual host of accelpool.
VHOST = 'accelpool'
AUTHORITY = ETC / 'tls' / 'authority.pem'
_HOME = DATA / 'rabbitmq'
_ENV = {
    'HOME': str(_HOME),
    'ERL_EPMD_PORT': str(layout.port('epmd')),
    'ERL_EPMD_ADDRESS': HOST,
    'RABBITMQ_NODENAME': f'accelpool{layout.BASE}@localhost',
    'RABBITMQ_DIST_PORT': str(layout.port('amqp-nodes')),
    'RABBITMQ_CONFIG_FILE': str(ETC / 'rabbitmq' / 'rabbitmq.conf'),
    'RABBITMQ_CONF_ENV_FILE': '/dev/null',
    'RABBITMQ_ENABLED_PLUGINS_FILE': str(ETC / 'rabbitmq' / 'enabled_plugins'),
    'RABBITMQ_MNESIA_BASE': str(_HOME / 'mnesia'),
    'RABBITMQ_LOG_BASE': str(_HOME / 'log'),
    'RABBITMQ_PID_FILE': str(layout.RUN / 'rabbitmq.own.pid'),
    # Idle schedulers sleep instead of spinning.
    'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS':
        '-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none',
}
_CONFIG = """\
listeners.tcp.1 = {host}:{amqp}
listeners.ssl.1 = {host}:{amqps}
ssl_options.cacertfile = {tls}/authority.pem
ssl_options.certfile = {tls}/server.pem
ssl_options.keyfile = {tls}/server.key
ssl_options.versions.1 = tlsv1.3
ssl_options.versions.2 = tlsv1.2
ssl_options.verify = verify_none
load_definitions = {etc}/definitions.json
vm_memory_high_watermark.absolute = 512MiB
disk_free_limit.absolute = 50MB
log.file.level = warning
"""

EPMD = Service('epmd', ['epmd', '-port', str(layout.port('epmd')), '-address', HOST],
               ready=lambda: listens(layout.port('epmd')), env={'HOME': str(_HOME)})
# Not the wrapper in /usr/sbin: it becomes the system's user rabbitmq.
RABBITMQ = Service('rabbitmq', ['/usr/lib/rabbitmq/bin/rabbitmq-server'],
                   ready=lambda: listens(layout.port('amqp')) and listens(layout.port('amqps')), env=_ENV)


def rabbitmq() -> None:
    """Start RabbitMQ; the first time make certificates, users and virtual hosts."""
    etc, tls = ETC / 'rabbitmq', ETC / 'tls'
    _HOME.mkdir(parents=True, exist_ok=True)
    cookie = _HOME / '.erlang.cookie'
    if not cookie.exists():
        layout.write(cookie, secrets.token_hex(20), 0o400)
    if not (tls / 'server.pem').exists():
        certificates()
    layout.write(etc / 'enabled_plugins', '[].\n')
    layout.write(etc / 'definitions.json', json.dumps(_definitions()))
    layout.write(etc / 'rabbitmq.conf', _CONFIG.format(
        host=HOST, amqp=layout.port('amqp'), amqps=layout.port('amqps'), tls=tls, etc=etc))
    EPMD.start()
    RABBITMQ.start()


def ctl(*arguments: str) -> str:
    """Run ``rabbitmqctl``; takes a second or two."""
    return run('/usr/lib/rabbitmq/bin/rabbitmqctl', '-q', *arguments, log='rabbitmqctl', env=_ENV)


def _definitions() -> dict[str, object]:
    salt = b'1234'
    digest = base64.b64encode(salt + hashlib.sha256(salt + PASSWORD.encode()).digest()).decode()
    everything = {'configure': '.*', 'write': '.*', 'read': '.*'}
    return {
        'users': [{'name': 'openstack', 'password_hash': digest, 'hashing_algorithm': 'rabbit_password_hashing_sha256',
                   'tags': 'administrator'}],
        'vhosts': [{'name': '/'}, {'name': VHOST}],
        'permissions': [{'user': 'openstack', 'vhost': vhost, **everything} for vhost in ('/', VHOST)],
    }


def certificates() -> None:
    """Make an authority and a certificate for this machine's loopback address."""
    tls = ETC / 'tls'
    tls.mkdir(parents=True, exist_ok=True)
    curve = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes')
    run('openssl', 'req', '-x509', *curve, '-days', '3650', '-subj', '/CN=integration authority',
        '-keyout', tls / 'authority.key', '-out', AUTHORITY, log='openssl')
    run('openssl', 'req', *curve, '-subj', '/CN=localhost', '-keyout', tls / 'server.key', '-out', tls / 'server.csr',
        log='openssl')
    names = layout.write(tls / 'names', f'subjectAltName = IP:{HOST}, DNS:localhost\n')
    run('openssl', 'x509', '-req', '-in', tls / 'server.csr', '-CA', AUTHORITY, '-CAkey', tls / 'authority.key',
        '-CAcreateserial', '-days', '3650', '-extfile', names, '-out', tls / 'server.pem', log='openssl')
    os.chmod(tls / 'server.key', 0o600)
