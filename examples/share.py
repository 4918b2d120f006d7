# SPDX-License-Identifier: Apache-2.0
"""Compute as hard as possible for a while and print how much work was done.

    share.py SECONDS [START]      START: Unix time at which to begin, so that several begin together
"""

import ctypes
import itertools
import sys
import time

import cuda_driver as cuda

#: Kernels of about half a millisecond each.
BATCH = 8

# Each thread adds up a loop counter; the loop length is an argument.
PTX = """
.version 7.0
.target sm_70
.address_size 64
.visible .entry work(.param .u64 out, .param .u32 rounds)
{
    .reg .pred %p<2>;
    .reg .b32 %r<8>;
    .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [out];
    ld.param.u32 %r1, [rounds];
    mov.u32 %r2, 0;
    mov.u32 %r3, %tid.x;
again:
    mad.lo.s32 %r3, %r3, 1664525, 1013904223;
    add.s32 %r2, %r2, 1;
    setp.lt.u32 %p1, %r2, %r1;
    @%p1 bra again;
    mov.u32 %r4, %tid.x;
    mul.wide.u32 %rd2, %r4, 4;
    add.s64 %rd3, %rd1, %rd2;
    st.global.u32 [%rd3], %r3;
    ret;
}
"""


def main() -> int:
    seconds = float(sys.argv[1])
    begin = float(sys.argv[2]) if len(sys.argv) > 2 else time.time()
    cuda.start()
    work = cuda.kernel(PTX, 'work')
    out = cuda.Pointer(cuda.allocate(4 * 32))
    cuda.launch(work, 1, 32, out, ctypes.c_uint32(1))  # translate and load before the clock starts
    cuda.synchronize()
    time.sleep(max(begin - time.time(), 0))
    # Two batches are always under way, so that the device never waits for this program.
    done, end, batches = 0, time.monotonic() + seconds, [cuda.event(), cuda.event()]
    for batch in itertools.cycle(batches):
        cuda.wait(batch)
        if time.monotonic() > end:
            break
        for _ in range(BATCH):
            cuda.launch(work, 1, 32, out, ctypes.c_uint32(20_000))
        cuda.record(batch)
        done += BATCH
    print(done)
    return 0


if __name__ == '__main__':
    sys.exit(main())
