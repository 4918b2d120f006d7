#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the emulated devices (optionally with a sanitizer) and runs their C tests.
#
#   tests/native/emu.sh [none|asan|tsan] [TEST...]
#
# EMU_OUT=DIR              where to build (default: build/native/emu-tests-SANITIZER)
# EMU_TRANSLATOR=COMMAND   use this instead of the kernels that stand ready in emu_module.c
set -euo pipefail
cd "$(dirname "$0")/../.."
san=${1:-none}
shift || true
sources=accelpool/drivers/mock/native
out=${EMU_OUT:-$PWD/build/native/emu-tests-$san}
cc=${CC:-gcc}
flags=(-std=c11 -D_GNU_SOURCE -O2 -g -fPIC -pthread -fno-strict-aliasing -ffp-contract=off -frounding-math
    -Wall -Wextra -Werror -Wshadow -Wvla -I"$sources" -Iaccelpool/remoting/native/common)
case $san in
none) ;;
asan) flags+=(-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer) ;;
tsan) flags+=(-fsanitize=thread) ;;
*) echo "unknown sanitizer $san" >&2 && exit 2 ;;
esac
mkdir -p "$out"
"$cc" "${flags[@]}" -fvisibility=hidden -shared -Wl,-soname,libcuda.so.1 -o "$out/libcuda.so.1" "$sources"/*.c -ldl -lm
"$cc" -std=c11 -O2 -fPIC -shared -Wall -Wextra -Werror -I"$sources" -o "$out/module.so" tests/native/emu_module.c
export EMU_PTX=$PWD/tests/native/emu_kernels.ptx EMU_MODULE=$out/module.so
export ACCELPOOL_TRANSLATOR=${EMU_TRANSLATOR:-$PWD/tests/native/emu_translator.sh} LD_LIBRARY_PATH=$out
if [ $# -eq 0 ]; then
    set -- memory modules streams faults backend stress acl_kernels acl_share
fi
failed=0
for name in "$@"; do
    if [[ $name == acl_* ]]; then # the other API on the same engine, in one program
        "$cc" "${flags[@]}" -I"$sources/acl" -o "$out/emu_$name" "tests/native/emu_$name.c" "$sources"/acl/*.c \
            "$sources"/*.c -ldl -lm
        timeout 300 "$out/emu_$name" || failed=1
        continue
    fi
    "$cc" "${flags[@]}" -Itests/native -o "$out/emu_$name" "tests/native/emu_$name.c" -L"$out" -l:libcuda.so.1 -ldl
    timeout 300 "$out/emu_$name" || failed=1
done
exit "$failed"
