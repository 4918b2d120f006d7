/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of the program that run when a stream has come so far: the device knows nothing of them. An event stands in
 * the stream for each, and the thread that the program has subscribed for the stream's reports waits for it.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "client.h"

#define SUBSCRIPTIONS 64

struct report {
    struct report *next;
    uint64_t thread;
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
static struct report *first;

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
    if (!found)
        status = ACL_ERROR_RT_STREAM_SUBSCRIBE;
    else if (found->thread == threadId)
        status = found->live = 0;
    pthread_mutex_unlock(&lock);
    return CLIENT_STATUS(status);
}

aclError aclrtLaunchCallback(aclrtCallback fn, void *userData, aclrtCallbackBlockType blockType, aclrtStream stream)
{
    struct report *report, **last = &first;
    const struct subscription *found;
    uint64_t thread = 0;
    aclError status;

    if (!fn || (unsigned)blockType > 1)
        return CLIENT_STATUS(CLIENT_INVALID_VALUE);
    if (blockType) /* the device cannot wait for the program */
        return CLIENT_STATUS(ACL_ERROR_RT_FEATURE_NOT_SUPPORT);
    pthread_mutex_lock(&lock);
    found = subscribed(stream);
    if (found)
        thread = found->thread;
    pthread_mutex_unlock(&lock);
    if (!found)
        return CLIENT_STATUS(ACL_ERROR_RT_STREAM_NO_CB_REG);
    report = calloc(1, sizeof *report);
    if (!report)
        return CLIENT_STATUS(CLIENT_OUT_OF_MEMORY);
    report->thread = thread;
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
    while (*last)
        last = &(*last)->next;
    *last = report;
    pthread_cond_broadcast(&more);
    pthread_mutex_unlock(&lock);
    return ACL_SUCCESS;
}

/* With the lock: the place of the first report that the thread has to process; what it points to may be NULL. */
static struct report **report_of(uint64_t thread)
{
    struct report **at = &first;

    while (*at && (*at)->thread != thread)
        at = &(*at)->next;
    return at;
}

/* With the lock. */
static int has_subscribed(uint64_t thread)
{
    for (int i = 0; i < SUBSCRIPTIONS; i++)
        if (subscriptions[i].live && subscriptions[i].thread == thread)
            return 1;
    return 0;
}

/* Milliseconds until then, one at least. */
static int32_t left(const struct timespec *end)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    const int64_t rest = (end->tv_sec - now.tv_sec) * 1000 + (end->tv_nsec - now.tv_nsec) / 1000000;
    return rest < 1 ? 1 : rest > INT32_MAX ? INT32_MAX : (int32_t)rest;
}

/* One function per call. A thread's reports are taken by itself only, so the first stays the first while it is waited for. */
aclError aclrtProcessReport(int32_t timeout)
{
    const uint64_t self = (uint64_t)pthread_self();
    struct report *report = NULL;
    struct timespec end;
    int status = 0;

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
    if (!*report_of(self) && !has_subscribed(self))
        status = ACL_ERROR_RT_THREAD_SUBSCRIBE;
    while (!status && !(report = *report_of(self)))
        if (timeout < 0 ? pthread_cond_wait(&more, &lock) : pthread_cond_timedwait(&more, &lock, &end))
            status = ACL_ERROR_RT_REPORT_TIMEOUT;
    pthread_mutex_unlock(&lock);
    if (status)
        return CLIENT_STATUS(status);
    aclrtSetCurrentContext(report->context);
    if (aclrtSynchronizeEventWithTimeout(report->event, timeout < 0 ? -1 : left(&end)) == ACL_ERROR_RT_EVENT_SYNC_TIMEOUT)
        return CLIENT_STATUS(ACL_ERROR_RT_REPORT_TIMEOUT);
    pthread_mutex_lock(&lock);
    *report_of(self) = report->next;
    pthread_mutex_unlock(&lock);
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
