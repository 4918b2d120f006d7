/* SPDX-License-Identifier: Apache-2.0 */
/* The call that makes an address space of the GPU, as drivers of several releases answer it. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static long kernel(long number, int file, unsigned long request, void *argument);
#define syscall kernel
#include "host_access.c"
#undef syscall

static uint64_t known;  /* flags of this driver; it refuses others */
static uint64_t made;   /* flags of the address space */
static unsigned others; /* other calls */

static long kernel(long number, int file, unsigned long request, void *argument)
{
    struct uvm_initialize *asked = argument;

    if (number != SYS_ioctl || file != 7)
        abort();
    if (request != UVM_INITIALIZE) {
        others++;
        return 5;
    }
    asked->status = asked->flags & ~known ? 0x1f : 0; /* NV_ERR_INVALID_ARGUMENT */
    made = asked->status ? 0 : asked->flags;
    return 0;
}

static void expect(const char *what, uint64_t flags, uint64_t knows, uint64_t wanted)
{
    struct uvm_initialize asked = {.flags = flags, .status = 9};

    known = knows;
    if (ioctl(7, UVM_INITIALIZE, &asked) || asked.status || made != wanted) {
        printf("%s: flags %lu, status %u\n", what, (unsigned long)made, asked.status);
        exit(1);
    }
}

int main(void)
{
    expect("a driver that knows all", 0, 7, 5);
    expect("a driver that knows HMM", 2, 3, 3);
    expect("a driver that knows nothing", 0, 0, 0);
    if (ioctl(7, 0x30000002ul, &known) != 5 || others != 1)
        return 1;
    setenv("ACCELPOOL_HOST_ACCESS", "1", 1);
    expect("an operator who allows it", 2, 7, 2);
    return 0;
}
