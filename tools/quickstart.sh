#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From an empty machine to an unmodified CUDA program on a slice of a device of another host.
#
#   tools/quickstart.sh            set up, run everything in temporary places, clean up
#   tools/quickstart.sh --serve    set up, start the service and stay until Ctrl-C
#
# VENV=DIR              the virtual environment (default: .venv in the clone)
# ACCELPOOL_HOME=DIR    the service's state with --serve (default: ~/.local/state/accelpool)
set -euo pipefail
cd "$(dirname "$0")/.."
export VENV=${VENV:-$PWD/.venv}
serve=no
case "${1:-}" in
    '') ;;
    --serve) serve=yes ;;
    *) sed -n '3,10s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

step() { printf '\n== %s\n' "$*"; }
shown() { printf '$ %s\n' "$*"; "$@"; }

SECONDS=0
tools/setup.sh
installed=$SECONDS
export PATH="$VENV/bin:$PATH" OS_CLOUD=accelpool

if [ "$serve" = yes ]; then
    exec accelpool-all --config-file etc/accelpool/quickstart.conf --clouds-yaml
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/accelpool-quickstart.XXXXXX")
export ACCELPOOL_HOME=$work/state OS_CLIENT_CONFIG_FILE=$work/clouds.yaml
service=
finish() {
    status=$?
    if [ -n "$service" ]; then
        kill "$service" 2>/dev/null || true
        wait "$service" 2>/dev/null || true
    fi
    if [ "$status" != 0 ]; then
        echo "quickstart: failed; the last lines of the service's log:" >&2
        tail -n 40 "$work/service.log" "$work"/state/log/*.log >&2 || true
    fi
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM


remote=(--consumer-host host-a --locality remote)
field() { python -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

step 'Start the service: api, scheduler, two conductors, an agent for each host'
accelpool-all --config-file etc/accelpool/quickstart.conf --clouds-yaml >"$work/service.log" 2>&1 &
service=$!
for _ in $(seq 600); do
    [ -s "$OS_CLIENT_CONFIG_FILE" ] && break
    kill -0 "$service" 2>/dev/null || { echo 'quickstart: the service did not start' >&2; exit 1; }
    sleep 0.1
done

step 'The pool'
shown accelpool device list
shown accelpool profile show small

step 'An unmodified numba-cuda program on host-a with a slice of a device of host-b'
shown accelpool run --profile small "${remote[@]}" -- python examples/numba_vector.py

step 'A C program on the CUDA driver API, the same way'
library=$(python -P -c 'from accelpool.remoting import artefacts; print(artefacts.client_library("cuda"))')
shown gcc -O2 -o "$work/vector_add" examples/vector_add.c "$library"
shown accelpool run --profile small "${remote[@]}" -- "$work/vector_add"

step 'The memory cap is real: one process, two processes on one slice'
shown accelpool run --profile small "${remote[@]}" -- python examples/memory_cap.py
shown accelpool run --profile small "${remote[@]}" -- python examples/memory_cap.py --processes 2

step 'A slice of 30 %, and a second one of all the rest of the same device'
first=$(accelpool allocation create --profile small --model gpu-emu "${remote[@]}" --wait -f json)
one=$(field id <<<"$first")
device=$(python -c 'import json, sys; print(json.load(sys.stdin)["slices"][0]["device_id"])' <<<"$first")
free=$(accelpool device show "$device" -f json | field free_memory)
two=$(accelpool allocation create --model gpu-emu --compute 70 --memory "$free" "${remote[@]}" --wait -f json | field id)
shown accelpool allocation list
shown accelpool run --allocation "$two" -- python examples/memory_cap.py --once

step 'The compute cap is real: 30 % against 70 % for ten seconds'
begin=$(python -c 'import time; print(time.time() + 4)')
accelpool run --allocation "$one" -- python examples/share.py 10 "$begin" >"$work/one" &
contenders=$!
accelpool run --allocation "$two" -- python examples/share.py 10 "$begin" >"$work/two" &
contenders="$contenders $!"
# shellcheck disable=SC2086
wait $contenders || { echo 'quickstart: examples/share.py failed' >&2; exit 1; }
python - "$work/one" "$work/two" <<'PYTHON'
import sys
one, two = (int(open(path).read()) for path in sys.argv[1:])
share = 100 * one / (one + two)
print(f'work done: {one} and {two} kernels = {share:.1f} : {100 - share:.1f}')
sys.exit(abs(share - 30) > 5)
PYTHON

step 'What happened, what it used; then give it back'
shown accelpool allocation event list "$two"
shown accelpool allocation usage list "$two"
shown accelpool allocation delete "$one" "$two" --wait
shown accelpool device list
python - <(accelpool device list -f json) <<'PYTHON'
import json, sys
devices = json.load(open(sys.argv[1]))
whole = all(d['free_memory'] == d['memory'] and d['free_compute'] == 100 and not d['slices'] for d in devices)
print('the pool is whole again' if whole and len(devices) == 4 else 'THE POOL IS NOT WHOLE')
sys.exit(not whole)
PYTHON
echo
echo "quickstart: done in $SECONDS s, of which $((SECONDS - installed)) s after installation" >&2
