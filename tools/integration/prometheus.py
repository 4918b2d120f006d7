# SPDX-License-Identifier: Apache-2.0
"""Prometheus, which asks the conductors for their metrics every second."""

from tools.integration import layout
from tools.integration.layout import COMPUTES, DATA, ETC, HOST
from tools.integration.process import Service, answers

_CONFIG = ETC / 'prometheus.yml'
PROMETHEUS = Service(
    'prometheus',
    ['/usr/bin/prometheus', f'--config.file={_CONFIG}', f'--storage.tsdb.path={DATA / "prometheus"}',
     f'--web.listen-address={HOST}:{layout.port("prometheus")}'],
    ready=lambda: answers(layout.url('prometheus', '/-/ready')))


def prometheus() -> None:
    targets = ', '.join(f"'{HOST}:{layout.port(f'metrics-{host}')}'" for host in COMPUTES)
    layout.write(_CONFIG, f"""\
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: accelpool
    static_configs: [{{targets: [{targets}]}}]
""")
    PROMETHEUS.start()
