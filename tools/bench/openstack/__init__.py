# SPDX-License-Identifier: Apache-2.0
"""accelpool beside Cyborg: the same requests to both in one run, on the same Keystone, RabbitMQ, MariaDB and uWSGI.

    tools/integration/up.sh cyborg
    python -m tools.bench.openstack [--quick]
"""
