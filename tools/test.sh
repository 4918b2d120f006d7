#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sets everything up, runs linters, type checks and all tests; exits 0 when all is well.
#
#   tools/test.sh            everything (CI; under 30 minutes on 2 cores)
#   tools/test.sh STEP ...   only these: lint types unit functional integration native hardware fuzz stestr quickstart docs
#
# VENV=DIR    the virtual environment (default: .venv-test in the clone)
set -euo pipefail
cd "$(dirname "$0")/.."
export VENV=${VENV:-$PWD/.venv-test}
steps=("$@")
[ "${#steps[@]}" -gt 0 ] || steps=(lint types unit functional integration native hardware fuzz stestr docs quickstart)

say() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }

SECONDS=0
say setup
tools/setup.sh --test
export PATH="$VENV/bin:$PATH" PYTHONDONTWRITEBYTECODE=1
unset OS_CLOUD OS_CLIENT_CONFIG_FILE ACCELPOOL_HOME ACCELPOOL_ATTACHMENT

lint() {
    ruff check .
    python -m flake8 --select=H --ignore=H104,H202,H301,H306,H403,H404,H405 accelpool tests
    bashate -i E006,E020 tools/*.sh tools/devstack_harness/*.sh devstack/plugin.sh devstack/settings tools/integration/*.sh .ci/run
    doc8 -q --ignore D001 --ignore-path doc/source/generated --ignore-path doc/source/user/cuda-coverage.rst --ignore-path doc/source/user/acl-coverage.rst --ignore-path doc/source/user/nvml-coverage.rst doc/source README.rst
    codespell accelpool tests doc/source tools examples README.rst
    reno -q lint
}
types() { mypy --strict accelpool; }
unit() { python -m pytest tests/unit; }
# Tests of the NVIDIA driver mostly wait for calls that hang, so they run beside the steps after this one.
functional() {
    local nvidia=(tests/functional/test_nvidia_*.py)
    wait "$npu"
    ACCELPOOL_NPU_REQUIRED=1 python -m pytest tests/functional "${nvidia[@]/#/--ignore=}"
    python -m pytest "${nvidia[@]}" > build/nvidia.log 2>&1 &
    waiting=$!
}
npu_environment() {  # torch of its own, for tests/functional/npu.py; the pins are those of setup.cfg
    [ -x .venv-npu/bin/python ] || python3 -m venv .venv-npu
    local said
    said=$(.venv-npu/bin/pip install -q torch==2.13.0 torch-npu==2.13.0 2>&1) || {
        echo "$said" >&2
        return 1
    }
}
# What does not limit its own time gets a limit here, so that what hangs is seen where it hangs.
native() {
    timeout 900 tests/native/emu.sh none
    timeout 900 tests/native/emu.sh asan
}
integration() {  # a named subset and a short soak on real services; tox -e integration,soak run the whole
    tools/integration/up.sh placement
    trap 'tools/integration/down.sh --erase' EXIT
    grep -v '^#' tools/integration/subset.txt | xargs python -m pytest
    timeout 1200 python -m tests.integration.soak --minutes "${SOAK_MINUTES:-3}"
    tools/integration/down.sh --erase
    trap - EXIT
}
hardware() { python -m tests.hardware; }  # without a device it only counts what it skips
fuzz() { make -s -f tests/native/worker.mk run-fuzz SECONDS="${FUZZ_SECONDS:-80}"; }
stestr() { timeout 600 stestr run --concurrency 2; }
docs() { sphinx-build -q -W --keep-going -b html doc/source build/doc/html; }
quickstart() { VENV="$PWD/.venv" timeout 900 tools/quickstart.sh; }

mkdir -p build
beside='' waiting=''
trap 'kill $beside $waiting 2> /dev/null || :; wait' EXIT
if [[ " ${steps[*]} " == *" integration "* ]]; then  # beside the steps before it: it waits more than it computes
    integration > build/integration.log 2>&1 &
    beside=$!
fi
if [[ " ${steps[*]} " == *" functional "* ]]; then  # 1.1 GB
    npu_environment &
    npu=$!
fi
for step in "${steps[@]}"; do
    say "$step"
    if [ "$step" = integration ]; then
        failed=0
        wait "$beside" || failed=$?
        cat build/integration.log
        [ "$failed" = 0 ] || exit "$failed"
    else
        "$step"
    fi
done
if [ -n "$waiting" ]; then
    say "the rest of functional"
    failed=0
    wait "$waiting" || failed=$?
    cat build/nvidia.log
    [ "$failed" = 0 ] || exit "$failed"
fi
say "all passed: ${steps[*]}"
