/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "Page-locked" host memory: ordinary memory of the program that is remembered, because the copies that profit from real
 * page locking happen at the worker.
 */
#include <pthread.h>
#include <stdlib.h>

#include "client.h"

#define ALIGNMENT 4096u
#define ALLOCATION_FLAGS 7u
#define REGISTRATION_FLAGS 15u

struct range {
    struct range *next;
    char *start;
    size_t bytes;
    unsigned flags;
    int registered;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct range *ranges;

/* With the lock held: the link to the range that overlaps [start, start + bytes), or NULL. */
static struct range **overlapping(const char *start, size_t bytes)
{
    for (struct range **link = &ranges; *link; link = &(*link)->next)
        if (start < (*link)->start + (*link)->bytes && (*link)->start < start + bytes)
            return link;
    return NULL;
}

static CUresult remember(void *start, size_t bytes, unsigned flags, int registered)
{
    struct range *range = malloc(sizeof *range);
    CUresult status = 0;

    if (!range)
        return CLIENT_OUT_OF_MEMORY;
    *range = (struct range){.start = start, .bytes = bytes, .flags = flags, .registered = registered};
    pthread_mutex_lock(&lock);
    if (overlapping(start, bytes)) {
        status = CLIENT_HOST_MEMORY_ALREADY_REGISTERED;
    } else {
        range->next = ranges;
        ranges = range;
    }
    pthread_mutex_unlock(&lock);
    if (status)
        free(range);
    return status;
}

/* Forgets the range that starts there; unknown is the error when there is none of that kind. */
static CUresult forget(void *start, int registered, CUresult unknown)
{
    struct range *range = NULL;

    pthread_mutex_lock(&lock);
    struct range **link = overlapping(start, 1);
    if (link && (*link)->start == start && (*link)->registered == registered) {
        range = *link;
        *link = range->next;
    }
    pthread_mutex_unlock(&lock);
    free(range);
    return range ? 0 : unknown;
}

int host_find(const void *address, void **start, size_t *bytes)
{
    pthread_mutex_lock(&lock);
    struct range **link = overlapping(address, 1);
    if (link) {
        *start = (*link)->start;
        *bytes = (*link)->bytes;
    }
    pthread_mutex_unlock(&lock);
    return link != NULL;
}

CUresult cuMemHostAlloc(void **pp, size_t bytesize, unsigned int Flags)
{
    struct device *device;
    CUresult status = client_enter(&device);

    if (status)
        return status;
    if (!pp || !bytesize || Flags & ~ALLOCATION_FLAGS)
        return CLIENT_INVALID_VALUE;
    if (bytesize > SIZE_MAX - ALIGNMENT)
        return CLIENT_OUT_OF_MEMORY;
    void *memory = aligned_alloc(ALIGNMENT, (bytesize + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    if (!memory)
        return CLIENT_OUT_OF_MEMORY;
    status = remember(memory, bytesize, Flags, 0);
    if (status)
        free(memory);
    else
        *pp = memory;
    return status;
}

CUresult cuMemAllocHost_v2(void **pp, size_t bytesize)
{
    return cuMemHostAlloc(pp, bytesize, 0);
}

CUresult cuMemFreeHost(void *p)
{
    CUresult status = client_ready();

    if (!status)
        status = forget(p, 0, CLIENT_INVALID_VALUE);
    if (!status)
        free(p);
    return status;
}

CUresult cuMemHostRegister_v2(void *p, size_t bytesize, unsigned int Flags)
{
    struct device *device;
    CUresult status = client_enter(&device);

    if (status)
        return status;
    if (!p || !bytesize || Flags & ~REGISTRATION_FLAGS || (uintptr_t)p > UINTPTR_MAX - bytesize)
        return CLIENT_INVALID_VALUE;
    return remember(p, bytesize, Flags, 1);
}

CUresult cuMemHostUnregister(void *p)
{
    CUresult status = client_ready();

    return status ? status : forget(p, 1, CLIENT_HOST_MEMORY_NOT_REGISTERED);
}

CUresult cuMemHostGetFlags(unsigned int *pFlags, void *p)
{
    CUresult status = client_ready();

    if (status)
        return status;
    if (!pFlags)
        return CLIENT_INVALID_VALUE;
    pthread_mutex_lock(&lock);
    struct range **link = overlapping(p, 1);
    if (link && !(*link)->registered)
        *pFlags = (*link)->flags;
    else
        status = CLIENT_INVALID_VALUE;
    pthread_mutex_unlock(&lock);
    return status;
}
