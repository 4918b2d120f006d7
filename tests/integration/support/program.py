# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.integration.support.program``: computes on device 0 until SIGTERM, and looks at every number.

What it adds up stays on the device from round to round, so a device that had begun anew would show.  Says ``round N``
after each round and ``all right`` at the end; exits with 1 at the first wrong number.
"""

import array
import pathlib
import signal
import sys

from tools.integration import layout

sys.path.insert(0, str(pathlib.Path(layout.ROOT, 'examples')))
import cuda_driver as cuda

THREADS = 64
#: Seconds between two rounds.
PAUSE = 0.05
#: Adds its own number, and one, to what each thread has.
PTX = """
.version 7.0
.target sm_70
.address_size 64
.visible .entry add(.param .u64 sums)
{
    .reg .b32 %r<4>;
    .reg .b64 %rd<4>;
    ld.param.u64 %rd1, [sums];
    mov.u32 %r1, %tid.x;
    mul.wide.u32 %rd2, %r1, 4;
    add.s64 %rd3, %rd1, %rd2;
    ld.global.u32 %r2, [%rd3];
    add.u32 %r2, %r2, %r1;
    add.u32 %r3, %r2, 1;
    st.global.u32 [%rd3], %r3;
    ret;
}
"""


def main() -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    cuda.start()
    add = cuda.kernel(PTX, 'add')
    sums = cuda.allocate(4 * THREADS)
    cuda.write(sums, bytes(4 * THREADS))
    done = 0
    while signal.sigtimedwait({signal.SIGTERM}, PAUSE) is None:
        cuda.launch(add, 1, THREADS, cuda.Pointer(sums))
        done += 1
        found = array.array('I', cuda.read(sums, 4 * THREADS))
        wanted = array.array('I', (done * (number + 1) for number in range(THREADS)))
        if found != wanted:
            print(f'wrong in round {done}: {found}', flush=True)
            return 1
        print(f'round {done}', flush=True)
    cuda.free(sums)
    print('all right', flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
