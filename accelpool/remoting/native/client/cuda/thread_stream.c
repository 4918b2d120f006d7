/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CU_STREAM_PER_THREAD. The number means a stream of the calling thread to the vendor's library, and the worker's threads are
 * not the program's: what one of them launched another would not wait for. So the number never goes over the wire. Each
 * thread of the program has a stream of its own on each device, made when it is first named and destroyed with the thread;
 * one for all of them would be right, too, but threads would wait for each other's kernels.
 */
#include <pthread.h>

#include "client.h"

static _Thread_local CUstream own[ATTACHMENT_DEVICES]; /* by ordinal */
static pthread_key_t key;

static void end_all(void *streams)
{
    uint64_t id;

    if (!process_ready())
        return; /* the child of a fork */
    for (unsigned i = 0; i < client_device_count(); i++) {
        struct device *device = client_device((int)i);

        if (!handle_id(HANDLE_STREAM, device, ((CUstream *)streams)[i], &id))
            stream_end(device, id);
    }
}

static void open_key(void)
{
    pthread_key_create(&key, end_all);
}

CUresult thread_stream(struct device *device, CUstream *stream)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CUresult status = 0;
    uint64_t id;

    if (handle_id(HANDLE_STREAM, device, own[device->ordinal], &id)) { /* none yet, or it went with the device's contexts */
        pthread_once(&once, open_key);
        status = pthread_setspecific(key, own) ? CLIENT_OUT_OF_MEMORY : stream_make(device, 0, 0, &own[device->ordinal]);
    }
    *stream = own[device->ordinal];
    return status;
}
