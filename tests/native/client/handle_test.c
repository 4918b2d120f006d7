/* SPDX-License-Identifier: Apache-2.0 */
/* Handles: wrong and stale ones are errors, ids stay within bounds and come back late. */
#include <stdio.h>
#include <stdlib.h>

#include "handle.h"

#define EXPECT(condition)                                                   \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                        \
        }                                                                   \
    } while (0)

int main(void)
{
    struct device *one = (struct device *)16, *two = (struct device *)32;
    int object;
    uint64_t id = handle_new(HANDLE_STREAM, one, &object), again;
    void *value = handle_value(HANDLE_STREAM, id);

    EXPECT(id == HANDLE_FIRST && handle_object(HANDLE_STREAM, value) == &object);
    EXPECT(handle_device(HANDLE_STREAM, value) == one);
    EXPECT(handle_id(HANDLE_STREAM, one, value, &again) == 0 && again == id);
    EXPECT(handle_id(HANDLE_STREAM, NULL, value, &again) == 0);
    EXPECT(handle_id(HANDLE_STREAM, two, value, &again) == 400);
    EXPECT(handle_id(HANDLE_EVENT, one, value, &again) == 400);
    EXPECT(!handle_object(HANDLE_STREAM, NULL) && !handle_object(HANDLE_STREAM, &object));
    EXPECT(!handle_object(HANDLE_STREAM, (char *)value + 1) && !handle_object(HANDLE_STREAM, (char *)value + 16));
    EXPECT(!handle_object(HANDLE_STREAM, (void *)~(uintptr_t)0));
    handle_free(HANDLE_STREAM, id);
    EXPECT(!handle_object(HANDLE_STREAM, value));
    handle_free(HANDLE_STREAM, id);

    for (int i = 0; i < 100; i++) { /* an id does not come back at once */
        uint64_t next = handle_new(HANDLE_STREAM, one, &object);

        EXPECT(next && next != id);
        id = next;
        handle_free(HANDLE_STREAM, id);
    }
    uint64_t count = 0;
    while ((id = handle_new(HANDLE_EVENT, one, &object))) {
        EXPECT(id >= HANDLE_FIRST && id < HANDLE_LIMIT);
        count++;
    }
    EXPECT(count == HANDLE_LIMIT - HANDLE_FIRST);
    handle_free(HANDLE_EVENT, 4711);
    EXPECT(handle_new(HANDLE_EVENT, one, &object) == 4711);
    return 0;
}
