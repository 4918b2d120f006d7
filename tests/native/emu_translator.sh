#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Stands for the translator: emu_kernels.ptx is $EMU_MODULE; a text with "nonsense" in it does not compile.
if grep -q nonsense "$2"; then
    echo "line 7: nonsense.u32: not supported" >&2
    exit 1
fi
cp "$EMU_MODULE" "$4"
