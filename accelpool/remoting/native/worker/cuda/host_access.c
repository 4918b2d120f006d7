/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels are not to reach the memory of this process. Where system and driver would let them (HMM, ATS), an address space of
 * the GPU can do without when it is made: by flags of UVM_INITIALIZE (uvm_ioctl.h, uvm_types.h of NVIDIA's open kernel
 * modules). The vendor's library does not set them, so its call is met here: a program's own ioctl stands before the C
 * library's. Whether that has worked is asked afterwards (vendor.c).
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UVM_INITIALIZE 0x30000001ul
#define DISABLE_HMM 1u             /* later: of migrations only */
#define DISABLE_PAGEABLE_ACCESS 4u /* unknown to earlier drivers, which refuse it */

struct uvm_initialize {
    uint64_t flags;
    uint32_t status;
};

static long initialize(int file, struct uvm_initialize *asked)
{
    const uint64_t given = asked->flags, more[] = {DISABLE_HMM | DISABLE_PAGEABLE_ACCESS, DISABLE_HMM, 0};
    long answer = -1;

    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        asked->flags = given | more[i];
        answer = syscall(SYS_ioctl, file, UVM_INITIALIZE, asked);
        if (!answer && !asked->status)
            break;
    }
    return answer;
}

__attribute__((visibility("default"))) int ioctl(int file, unsigned long request, ...)
{
    va_list arguments;

    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (request == UVM_INITIALIZE && argument && !getenv("ACCELPOOL_HOST_ACCESS"))
        return (int)initialize(file, argument);
    return (int)syscall(SYS_ioctl, file, request, argument);
}
