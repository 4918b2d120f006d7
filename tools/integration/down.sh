#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Stops what up.sh started.
#
#   tools/integration/down.sh            state stays: the next up.sh is warm
#   tools/integration/down.sh --erase    state goes, too
set -euo pipefail
cd "$(dirname "$0")/../.."
VENV=${VENV:-$PWD/.venv-test}
"$VENV/bin/python" -m tools.integration down
if [ "${1:-}" = --erase ]; then
    rm -rf "$("$VENV/bin/python" -c 'from tools.integration import layout; print(layout.STATE)')"
fi
