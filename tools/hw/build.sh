#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds what tools/hw/verify.sh needs into build/hw, on a machine with a compiler and a network: the native parts, the
# suite's program, its kernels as PTX and cubins, and the Python packages.  Carry build/hw along.
#
# VENV=DIR    the virtual environment of tools/setup.sh --test     NVCC=PROGRAM
# CARRY_MIB=N what may be carried (default: 64): it fails when build/hw is larger; numba-cuda goes along where that is
#             enough for it, too
set -euo pipefail
cd "$(dirname "$0")/../.."
VENV=${VENV:-$PWD/.venv-test}
NVCC=${NVCC:-nvcc}
CARRY_MIB=${CARRY_MIB:-64}
out=build/hw
mkdir -p "$out"

make -s native PYTHON="$VENV/bin/python"
gcc -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -o "$out/program" tests/hardware/program.c -ldl
if command -v "$NVCC" >/dev/null; then
    "$NVCC" -ptx -arch=compute_75 -o "$out/kernels.ptx" tests/hardware/kernels.cu
    for arch in 75 80 86 89 90 100 103 120; do
        "$NVCC" -cubin "-arch=sm_$arch" -o "$out/kernels.sm_$arch.cubin" tests/hardware/kernels.cu ||
            echo "hw/build: $NVCC makes no code for sm_$arch: such a device will be tested with PTX only" >&2
    done
else
    echo "hw/build: there is no $NVCC: no kernels are built" >&2
    exit 1
fi
PYTHONPATH=$PWD "$VENV/bin/python" tools/hw/bundle.py "$out/site"
rm -rf "$out/native"
cp -r accelpool/_native "$out/native"
find "$out/native" "$out/site" \( -name '*.so*' -o -path '*/bin/*' \) -type f -exec strip --strip-unneeded {} +
"$VENV/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' >"$out/python-version"

# numba-cuda with all that it loads.
rm -rf "$out/numba"
packages=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
parts=()
for part in numba numba_cuda llvmlite llvmlite.libs numpy numpy.libs cuda nvidia _numba_cuda_redirector.{pth,py} \
        {numba,numba_cuda,llvmlite,numpy,cuda_*,nvidia_*}-*.dist-info; do
    for found in "$packages"/$part; do [ ! -e "$found" ] || parts+=("$found"); done
done
carried=$(du -sm "$out" | cut -f1)
if [ ! -e "$packages/numba_cuda" ]; then
    echo "hw/build: numba-cuda is not installed in $VENV: its test will be skipped"
elif wanted=$(du -smc "${parts[@]}" | tail -n 1 | cut -f1) && [ $((carried + wanted)) -le "$CARRY_MIB" ]; then
    mkdir "$out/numba"
    cp -r "${parts[@]}" "$out/numba"
else
    echo "hw/build: numba-cuda needs $wanted MiB beside the $carried MiB that are there: not carried, its test will be skipped"
fi
size=$(du -sm "$out" | cut -f1)
echo "hw/build: $out takes $size MiB"
if [ "$size" -gt "$CARRY_MIB" ]; then
    echo "hw/build: that is more than the $CARRY_MIB MiB that may be carried (CARRY_MIB); du -m $out shows what is large" >&2
    exit 1
fi
