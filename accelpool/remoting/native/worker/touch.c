/* SPDX-License-Identifier: Apache-2.0 */
/* Host memory that emulated devices really use, counted across all sessions of the host in one shared page. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "state.h"

struct touch_page {
    _Atomic uint64_t limit, total, slot[];
};

#define TOUCH_PAGE 4096u
#define TOUCH_SLOTS ((TOUCH_PAGE - sizeof(struct touch_page)) / sizeof(uint64_t))

int touch_open(struct session *s, int fd)
{
    const char *slot = getenv("ACCELPOOL_TOUCH_SLOT");
    char *end = NULL;
    unsigned long number;

    s->touch.page = NULL;
    if (fd < 0)
        return 0;
    number = slot ? strtoul(slot, &end, 10) : 0;
    if (!slot || end == slot || *end || number >= TOUCH_SLOTS) {
        errno = EINVAL;
        return -1;
    }
    void *page = mmap(NULL, TOUCH_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return -1;
    s->touch.page = page;
    s->touch.slot = (unsigned)number;
    return 0;
}

int hook_touch(void *opaque, uint64_t bytes)
{
    struct session *s = opaque;
    struct touch_page *page = s->touch.page;
    uint64_t total, limit;

    if (!page)
        return 0;
    limit = atomic_load(&page->limit);
    total = atomic_load(&page->total);
    do {
        if (bytes > limit || total > limit - bytes)
            return -1;
    } while (!atomic_compare_exchange_weak(&page->total, &total, total + bytes));
    atomic_fetch_add(&page->slot[s->touch.slot], bytes);
    return 0;
}

void hook_untouch(void *opaque, uint64_t bytes)
{
    struct session *s = opaque;
    struct touch_page *page = s->touch.page;

    if (!page)
        return;
    atomic_fetch_sub(&page->slot[s->touch.slot], bytes);
    atomic_fetch_sub(&page->total, bytes);
}
