/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of the program that are told of its streams: after one was made and before one ends, by whatever ends it, as
 * CANN's runtime has it. Operators of CANN keep a second stream for each of the program's, and let it go that way.
 */
#include <pthread.h>
#include <string.h>

#include "client.h"

#define WATCHERS 32
#define NAME_BYTES 128

struct watcher {
    char name[NAME_BYTES];
    rtStreamStateCallback function; /* NULL: this place is free */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct watcher watchers[WATCHERS];

/* With the lock. The one of that name, or else a free one, or NULL. */
static struct watcher *place(const char *name)
{
    struct watcher *free_one = NULL;

    for (int i = 0; i < WATCHERS; i++)
        if (!watchers[i].function)
            free_one = &watchers[i];
        else if (!strcmp(watchers[i].name, name))
            return &watchers[i];
    return free_one;
}

/* The function replaces the one that had the name before; NULL only takes that away. */
int32_t rtRegStreamStateCallback(const char *regName, rtStreamStateCallback callback)
{
    struct watcher *watcher;

    if (!regName || strnlen(regName, NAME_BYTES) == NAME_BYTES)
        return CLIENT_STATUS(CLIENT_INVALID_VALUE);
    pthread_mutex_lock(&lock);
    watcher = place(regName);
    if (watcher) {
        strcpy(watcher->name, regName);
        watcher->function = callback;
    }
    pthread_mutex_unlock(&lock);
    return watcher || !callback ? ACL_SUCCESS : CLIENT_STATUS(CLIENT_OUT_OF_MEMORY);
}

/* Without the lock while they run: they may make and end streams themselves. */
void client_stream_told(aclrtStream stream, bool made)
{
    struct watcher told[WATCHERS];

    pthread_mutex_lock(&lock);
    memcpy(told, watchers, sizeof told);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < WATCHERS; i++)
        if (told[i].function)
            told[i].function(stream, made);
}
