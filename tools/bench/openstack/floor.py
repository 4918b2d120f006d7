# SPDX-License-Identifier: Apache-2.0
"""What a question and its answer cost over quorum queues: nothing that asks another service can be faster."""

import statistics
import time

from oslo_config import cfg

from accelpool import conf
from accelpool.rpc import client, server, transport
from tools.integration import bus, layout

TOPIC = 'accelpool.bench'


class _Echo:
    def echo(self, text: str) -> str:
        return text


class _EchoClient(client._Client):
    topic = TOPIC

    def echo(self, text: str) -> str:
        return str(self._call('echo', text=text))


def call(rounds: int) -> float:
    """Return the median of a call in seconds."""
    conf.register_all()
    cfg.CONF([], project='accelpool', default_config_files=[])
    transport.get()
    cfg.CONF.set_override('transport_url', layout.bus(bus.VHOST))
    transport.get.cache_clear()
    serving = server.start(TOPIC, 'bench', _Echo(), threads=1)
    found = []
    for _ in range(rounds + 5):
        begun = time.perf_counter()
        _EchoClient().echo('?')
        found.append(time.perf_counter() - begun)
    serving.stop()
    serving.wait()
    return statistics.median(found[5:])
