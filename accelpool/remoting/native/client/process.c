/* SPDX-License-Identifier: Apache-2.0 */
/* The process's own state: attached or not, started or not, forked or not. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connect.h"
#include "process.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct device devices[ATTACHMENT_DEVICES];
static unsigned device_count;
static atomic_int started, forked;

void client_say(const char *format, ...)
{
    char line[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    fprintf(stderr, "accelpool: %s\n", line);
}

/* A context does not survive a fork; the socket must be the parent's alone, or its end would not be seen. */
static void in_child(void)
{
    atomic_store(&forked, 1);
    for (unsigned i = 0; i < device_count; i++)
        channel_forget(devices[i].channel);
}

/* place: of the slice in the attachment; it keeps the address ranges of one process's devices apart. */
static int open_device(struct device *device, unsigned place, const struct attachment_device *attachment)
{
    char why[512] = "out of memory";
    struct wire_welcome welcome;
    struct stream stream;
    int error = 0;

    if (!connect_session(attachment, &stream, &welcome, &device->snapshot, why, sizeof why))
        device->channel = channel_open(&stream, welcome.window_bytes);
    if (!device->channel) {
        client_say("device %u: %s", place, why);
        return -1;
    }
    device->ordinal = (int)device_count;
    device->memory_limit = welcome.memory_limit;
    device->heap = heap_open(device->channel, place, welcome.range_size, welcome.granule, &error);
    if (!device->heap) {
        client_say("device %u: no range of addresses is free on both sides (error %d)", place, error);
        channel_close(device->channel);
        return -1;
    }
    return 0;
}

static void close_devices(void)
{
    while (device_count > 0) {
        device_count--;
        heap_close(devices[device_count].heap);
        channel_close(devices[device_count].channel);
    }
}

/* With the lock held. Every failure to get at a device is "no device" to the program; the reason goes to stderr. */
static int start(const char *interface)
{
    static struct attachment attachment;
    static int hinted;
    const char *path = getenv("ACCELPOOL_ATTACHMENT");
    char guests[64], why[512];
    int failed = 0;

    if (!path) { /* what accelpool-guest wrote for this user */
        snprintf(guests, sizeof guests, "/run/accelpool-guest/%u.json", (unsigned)getuid());
        path = access(guests, F_OK) ? NULL : guests;
    }
    if (!path) {
        if (!hinted++)
            client_say("no slice is attached: ACCELPOOL_ATTACHMENT is not set (start the program with `accelpool run`)");
        return -1;
    }
    if (attachment_load(path, &attachment, why, sizeof why)) {
        client_say("%s", why);
        return -1;
    }
    for (unsigned i = 0; i < attachment.device_count && !failed; i++) {
        if (strcmp(attachment.devices[i].interface, interface))
            continue; /* another library's */
        failed = open_device(&devices[device_count], i, &attachment.devices[i]);
        device_count += !failed;
    }
    explicit_bzero(attachment.devices, sizeof attachment.devices); /* the credentials */
    if (failed)
        close_devices();
    else if (!device_count)
        client_say("the attachment has no device that speaks %s", interface);
    if (!device_count)
        return -1;
    pthread_atfork(NULL, NULL, in_child);
    return 0;
}

int process_start(const char *interface)
{
    int failed = 0;

    if (atomic_load(&forked))
        return -1;
    if (atomic_load(&started))
        return 0;
    pthread_mutex_lock(&lock);
    if (!atomic_load(&started)) {
        failed = start(interface);
        atomic_store(&started, !failed);
    }
    pthread_mutex_unlock(&lock);
    return failed;
}

int process_ready(void)
{
    return atomic_load_explicit(&started, memory_order_acquire) && !atomic_load_explicit(&forked, memory_order_relaxed);
}

int process_forked(void)
{
    return atomic_load_explicit(&forked, memory_order_relaxed);
}

struct device *client_device(int ordinal)
{
    return ordinal >= 0 && (unsigned)ordinal < device_count ? &devices[ordinal] : NULL;
}

unsigned client_device_count(void)
{
    return device_count;
}

struct device *client_device_at(uint64_t address)
{
    for (unsigned i = 0; i < device_count; i++)
        if (heap_covers(devices[i].heap, address))
            return &devices[i];
    return NULL;
}
