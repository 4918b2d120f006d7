#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The hardware suite in one command of under 8 minutes: builds nothing, needs no network (tools/hw/build.sh ran before).
#
#   tools/hw/verify.sh           on the NVIDIA GPU of this machine; without one everything is skipped, and says so
#
# ACCELPOOL_HW_EMULATED=1    rehearse on an emulated device: the programs are tested, not the figures
# ACCELPOOL_HW_MUTATE=1      also what changes the device's modes (MIG, MPS); never on a borrowed machine
# ACCELPOOL_HW_LIBRARIES=DIR  where NVIDIA's libraries are, if the loader does not find them
# OUT=DIR                    where results.json goes (default: build/hw)
set -euo pipefail
cd "$(dirname "$0")/../.."
OUT=${OUT:-$PWD/build/hw}
for needed in build/hw/program build/hw/kernels.ptx build/hw/site build/hw/native/bin/accelpool-worker; do
    [ -e "$needed" ] || { echo "hw/verify: $needed is missing; run tools/hw/build.sh where there is a compiler" >&2; exit 2; }
done
python=python$(cat build/hw/python-version)
command -v "$python" >/dev/null || { echo "hw/verify: the packages were built for $python, which is not here" >&2; exit 2; }
mkdir -p "$OUT"
export ACCELPOOL_NATIVE=$PWD/build/hw/native PYTHONPATH=$PWD:$PWD/build/hw/site PYTHONDONTWRITEBYTECODE=1 ACCELPOOL_HW_RESULTS=$OUT/results.json
command -v nvidia-smi >/dev/null && nvidia-smi -L || echo 'hw/verify: no nvidia-smi here'
exec timeout 470 "$python" -W ignore -m tests.hardware
