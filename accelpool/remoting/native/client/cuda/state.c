/* SPDX-License-Identifier: Apache-2.0 */
/* The process's own state: attached or not, initialised or not, forked or not. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "connect.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct device devices[ATTACHMENT_DEVICES];
static unsigned device_count;
static atomic_int initialised, forked;

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

static int open_device(struct device *device, unsigned ordinal, const struct attachment_device *attachment)
{
    char why[512] = "out of memory";
    struct wire_welcome welcome;
    struct stream stream;
    int error = 0;

    if (strcmp(attachment->interface, "cuda")) {
        client_say("device %u is not a CUDA device (%s)", ordinal, attachment->interface);
        return -1;
    }
    if (!connect_session(attachment, &stream, &welcome, &device->snapshot, why, sizeof why))
        device->channel = channel_open(&stream, welcome.window_bytes);
    if (!device->channel) {
        client_say("device %u: %s", ordinal, why);
        return -1;
    }
    device->ordinal = (CUdevice)ordinal;
    device->memory_limit = welcome.memory_limit;
    device->heap = heap_open(device->channel, ordinal, welcome.range_size, welcome.granule, &error);
    if (!device->heap) {
        client_say("device %u: no range of addresses is free on both sides (error %d)", ordinal, error);
        channel_close(device->channel);
        return -1;
    }
    context_primary_open(device);
    return 0;
}

/* With the lock held. Every failure to get at a device is "no device" to the program; the reason goes to stderr. */
static CUresult start(void)
{
    static struct attachment attachment;
    static int hinted;
    const char *path = getenv("ACCELPOOL_ATTACHMENT");
    char why[512];

    if (!path) {
        if (!hinted++)
            client_say("no slice is attached: ACCELPOOL_ATTACHMENT is not set (start the program with `accelpool run`)");
        return CLIENT_NO_DEVICE;
    }
    if (attachment_load(path, &attachment, why, sizeof why)) {
        client_say("%s", why);
        return CLIENT_NO_DEVICE;
    }
    for (; device_count < attachment.device_count; device_count++)
        if (open_device(&devices[device_count], device_count, &attachment.devices[device_count]))
            break;
    explicit_bzero(attachment.devices, sizeof attachment.devices); /* the credentials */
    if (device_count < attachment.device_count || !device_count) {
        while (device_count > 0) {
            device_count--;
            heap_close(devices[device_count].heap);
            channel_close(devices[device_count].channel);
        }
        return CLIENT_NO_DEVICE;
    }
    pthread_atfork(NULL, NULL, in_child);
    return 0;
}

CUresult cuInit(unsigned int Flags)
{
    CUresult status = 0;

    if (Flags)
        return CLIENT_INVALID_VALUE;
    if (atomic_load(&forked))
        return CLIENT_NOT_INITIALIZED;
    if (atomic_load(&initialised))
        return 0;
    pthread_mutex_lock(&lock);
    if (!atomic_load(&initialised)) {
        status = start();
        atomic_store(&initialised, !status);
    }
    pthread_mutex_unlock(&lock);
    return status;
}

CUresult client_ready(void)
{
    return atomic_load_explicit(&initialised, memory_order_acquire) && !atomic_load_explicit(&forked, memory_order_relaxed)
               ? 0
               : CLIENT_NOT_INITIALIZED;
}

CUresult client_enter(struct device **device)
{
    CUresult status = client_ready();

    if (status)
        return status;
    const struct context *context = context_current();
    if (!context)
        return CLIENT_INVALID_CONTEXT;
    if (!atomic_load_explicit(&context->references, memory_order_relaxed))
        return CLIENT_CONTEXT_IS_DESTROYED;
    *device = context->device;
    return channel_broken(context->device->channel);
}

struct device *client_device(CUdevice ordinal)
{
    return ordinal >= 0 && (unsigned)ordinal < device_count ? &devices[ordinal] : NULL;
}

unsigned client_device_count(void)
{
    return device_count;
}

struct device *client_device_at(CUdeviceptr address)
{
    for (unsigned i = 0; i < device_count; i++)
        if (heap_covers(devices[i].heap, address))
            return &devices[i];
    return NULL;
}
