# SPDX-License-Identifier: Apache-2.0
"""Where Prometheus fetches the metrics of a service that has no HTTP server of its own."""

from collections.abc import Iterable, Sequence

import prometheus_client
from prometheus_client import core, registry


class Merged(registry.Collector):
    """Several collectors of the same metrics, one for each host: every metric is one family all the same."""

    def __init__(self, collectors: Sequence[registry.Collector]) -> None:
        self._collectors = collectors

    def collect(self) -> Iterable[core.Metric]:
        found: dict[str, core.Metric] = {}
        for collector in self._collectors:
            for metric in collector.collect():
                found.setdefault(metric.name, metric)
                if found[metric.name] is not metric:
                    found[metric.name].samples += metric.samples
        return found.values()


def serve(collectors: Sequence[registry.Collector], host: str, port: int) -> int:
    """Serve metrics at ``/metrics`` from a daemon thread; returns the port, which 0 leaves to the system.

    :raises OSError: nobody can listen there
    """
    found = prometheus_client.CollectorRegistry()
    prometheus_client.ProcessCollector(registry=found)
    found.register(Merged(collectors))
    server, _ = prometheus_client.start_http_server(port, host, found)
    return int(server.server_port)
