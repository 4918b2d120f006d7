/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host memory that emulated devices really use. The agent has the account of the whole host and hands out allowances; nothing
 * is shared with other sessions, so a worker can spoil nobody's account.
 */
#include <pthread.h>

#include "state.h"

#define TOUCH_STEP (UINT64_C(4) << 20) /* asked for at a time, so that few pages cost a question */
#define TOUCH_KEEP (4 * TOUCH_STEP)    /* unused allowance beyond this goes back */

int touch_open(struct session *s)
{
    return pthread_mutex_init(&s->touch.lock, NULL);
}

/* With the lock. */
static int touch_ask(struct session *s, uint64_t need)
{
    const struct control_packet question = {
        .type = CONTROL_TOUCH, .a = need, .b = need < TOUCH_STEP ? TOUCH_STEP - need : 0};
    struct control_packet answer;

    if (agent_ask(s, &question, NULL, &answer, NULL) || answer.a < need)
        return -1;
    s->touch.allowed += answer.a;
    return 0;
}

int hook_touch(void *opaque, uint64_t bytes)
{
    struct session *s = opaque;
    struct touch *touch = &s->touch;
    int result = 0;

    pthread_mutex_lock(&touch->lock);
    const uint64_t left = touch->allowed - touch->used;
    if (bytes > left)
        result = touch_ask(s, bytes - left);
    if (!result)
        touch->used += bytes;
    pthread_mutex_unlock(&touch->lock);
    return result;
}

void hook_untouch(void *opaque, uint64_t bytes)
{
    struct session *s = opaque;
    struct touch *touch = &s->touch;

    pthread_mutex_lock(&touch->lock);
    touch->used -= bytes;
    const uint64_t left = touch->allowed - touch->used;
    if (left > TOUCH_KEEP) {
        touch->allowed -= left - TOUCH_STEP;
        agent_tell(s, CONTROL_UNTOUCH, left - TOUCH_STEP, 0, 0);
    }
    pthread_mutex_unlock(&touch->lock);
}
