/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of the program that run when a stream has come so far: the device knows nothing of them. An event stands in
 * the stream for each, and the thread that the program has set aside for reports waits for it.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "client.h"

#define SUBSCRIPTIONS 64

struct report {
    struct report *next;
    aclrtCallback function;
    void *user;
    aclrtEvent event;
    aclrtContext context;
};

struct subscription {
    uint64_t thread;
    aclrtStream stream;
    int live;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct subscription subscriptions[SUBSCRIPTIONS];
static struct report *first, **last = &first;

/* With the lock. */
static struct subscription *subscribed(aclrtStream stream)
{
    for (int i = 0; i < SUBSCRIPTIONS; i++)
        if (subscriptions[i].live && subscriptions[i].stream == stream)
            return &subscriptions[i];
    return NULL;
}

aclError aclrtSubscribeReport(uint64_t threadId, aclrtStream stream)
{
    struct device *device;
    uint64_t id;
    int status = client_enter(&device);

    if (!status)
        status = client_stream(device, stream, &id);
    if (status)
        return CLIENT_STATUS(status);
    pthread_mutex_lock(&lock);
    status = subscribed(stream) ? ACL_ERROR_RT_STREAM_SUBSCRIBE : CLIENT_OUT_OF_MEMORY;
    for (int i = 0; status == CLIENT_OUT_OF_MEMORY && i < SUBSCRIPTIONS; i++)
        if (!subscriptions[i].live) {
            subscriptions[i] = (struct subscription){threadId, stream, 1};
            status = 0;
        }
    pthread_mutex_unlock(&lock);
    return CLIENT_STATUS(status);
}

aclError aclrtUnSubscribeReport(uint64_t threadId, aclrtStream stream)
{
    int status = ACL_ERROR_RT_THREAD_SUBSCRIBE;

    pthread_mutex_lock(&lock);
    struct subscription *found = subscribed(stream);
    if (found && found->thread == threadId) {
        found->live = 0;
        status = 0;
    }
    pthread_mutex_unlock(&lock);
    return CLIENT_STATUS(status);
}

aclError aclrtLaunchCallback(aclrtCallback fn, void *userData, aclrtCallbackBlockType blockType, aclrtStream stream)
{
    struct report *report;
    aclError status;
    int known;

    if (!fn || (unsigned)blockType > 1)
        return CLIENT_STATUS(CLIENT_INVALID_VALUE);
    if (blockType) /* the device cannot wait for the program */
        return CLIENT_STATUS(ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
    pthread_mutex_lock(&lock);
    known = subscribed(stream) != NULL;
    pthread_mutex_unlock(&lock);
    if (!known)
        return CLIENT_STATUS(ACL_ERROR_RT_STREAM_SUBSCRIBE);
    report = calloc(1, sizeof *report);
    if (!report)
        return CLIENT_STATUS(CLIENT_OUT_OF_MEMORY);
    report->function = fn;
    report->user = userData;
    status = aclrtGetCurrentContext(&report->context);
    if (!status)
        status = aclrtCreateEvent(&report->event);
    if (!status && (status = aclrtRecordEvent(report->event, stream)))
        aclrtDestroyEvent(report->event);
    if (status) {
        free(report);
        return status;
    }
    pthread_mutex_lock(&lock);
    *last = report;
    last = &report->next;
    pthread_cond_signal(&more);
    pthread_mutex_unlock(&lock);
    return ACL_SUCCESS;
}

aclError aclrtProcessReport(int32_t timeout)
{
    struct report *report;
    struct timespec end;
    int late = 0;

    if (timeout < -1 || timeout == 0)
        return CLIENT_STATUS(CLIENT_INVALID_VALUE);
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += timeout / 1000;
    end.tv_nsec += (long)(timeout % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&lock);
    while (!first && !late)
        late = timeout < 0 ? pthread_cond_wait(&more, &lock) : pthread_cond_timedwait(&more, &lock, &end);
    report = first;
    if (report) {
        first = report->next;
        if (!first)
            last = &first;
    }
    pthread_mutex_unlock(&lock);
    if (!report)
        return CLIENT_STATUS(ACL_ERROR_WAIT_CALLBACK_TIMEOUT);
    aclrtSetCurrentContext(report->context);
    aclrtSynchronizeEvent(report->event);
    aclrtDestroyEvent(report->event);
    report->function(report->user);
    free(report);
    return ACL_SUCCESS;
}

/* The stream waits for the function: so does the caller, who cannot tell the difference but by the time it takes. */
aclError aclrtLaunchHostFunc(aclrtStream stream, aclrtHostFunc fn, void *args)
{
    aclError status = fn ? aclrtSynchronizeStream(stream) : CLIENT_STATUS(CLIENT_INVALID_VALUE);

    if (!status)
        fn(args);
    return status;
}
