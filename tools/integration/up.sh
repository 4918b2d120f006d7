#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Real OpenStack services and accelpool on this machine, for tests: loopback only, no systemd.
#
#   tools/integration/up.sh              RabbitMQ, MariaDB, PostgreSQL, Keystone, accelpool
#   tools/integration/up.sh placement    also Placement
#   tools/integration/up.sh compute      also Placement, Glance, Nova with two fake hypervisors
#   tools/integration/up.sh prometheus   also Prometheus, which watches the conductors
#   tools/integration/up.sh cyborg       also Placement and Cyborg, to be measured against
#   tools/integration/up.sh install      only install
#
# Run again to start what does not run.  VENV=DIR is where accelpool is installed (default: .venv-test in the clone);
# tools/integration/layout.py names the variables that move state, ports and the services' own environment.
set -euo pipefail
cd "$(dirname "$0")/../.."
VENV=${VENV:-$PWD/.venv-test}
SERVICES=${ACCELPOOL_INTEGRATION_VENV:-$PWD/.venv-openstack}
packages=(rabbitmq-server mariadb-server postgresql openssl iproute2 faketime prometheus)

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
    # The packages' own daemons must not start, now or later: a policy for the time of the installation.
    policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod 755 "$policy"; trap 'rm -f "$policy"' EXIT; }
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
wanted=$(cat tools/integration/requirements.txt tools/integration/constraints.txt | sha256sum)
if [ "$(cat "$SERVICES/installed" 2>/dev/null)" != "$wanted" ]; then
    "${PYTHON:-python3}" -m venv "$SERVICES"
    "$SERVICES/bin/pip" install -q --disable-pip-version-check \
        -c tools/integration/constraints.txt -r tools/integration/requirements.txt
    echo "$wanted" >"$SERVICES/installed"
fi
if [ "${1:-}" = cyborg ]; then  # the benchmark: accelpool with the database driver that the guide advises
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libmariadb-dev pkg-config >/dev/null
    "$VENV/bin/pip" install -q --disable-pip-version-check 'mysqlclient>=2.2'
fi
if [ "${1:-}" = cyborg ] && [ ! -x "$SERVICES/bin/cyborg-agent" ]; then
    "$SERVICES/bin/pip" install -q --disable-pip-version-check -c tools/integration/constraints.txt openstack-cyborg
fi
[ "${1:-}" = install ] && exit
exec "$VENV/bin/python" -m tools.integration up "$@"
