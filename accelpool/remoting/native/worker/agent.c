/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: one thread receives; questions wait for the answer with their id. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "state.h"

#define AGENT_PATIENCE_MS 1000 /* how long the main thread may take to see that the session is over */

struct agent_question {
    struct agent_question *next;
    uint32_t type, id;
    int done;
    struct control_packet answer;
    uint8_t *blob; /* the asker's buffer, or NULL */
    size_t length;
    int fd;
};

static void agent_answer(struct session *s, const struct control_packet *packet, const uint8_t *blob, size_t length,
                         int fd)
{
    struct agent_question *question;

    pthread_mutex_lock(&s->agent.lock);
    for (question = s->agent.questions; question; question = question->next)
        if (!question->done && question->id == packet->id && question->type == packet->type)
            break;
    if (question) {
        question->done = 1;
        question->answer = *packet;
        question->fd = fd;
        if (question->blob) {
            memcpy(question->blob, blob, length);
            question->length = length;
        }
        pthread_cond_broadcast(&s->agent.answered);
    } else if (fd >= 0) {
        close(fd);
    }
    pthread_mutex_unlock(&s->agent.lock);
}

/* One packet; -1 when there are no more. */
static int agent_packet(struct session *s, uint8_t *blob)
{
    struct control_packet packet;
    int fd = -1;
    unsigned count = 1;
    ssize_t length = control_receive(s->control_fd, &packet, blob, &fd, &count, 0);

    if (length < 0)
        return -1;
    if (count == 0)
        fd = -1;
    switch (packet.type) {
    case CONTROL_RESERVE:
    case CONTROL_TRANSLATE:
    case CONTROL_MEMINFO:
    case CONTROL_TOUCH:
    case CONTROL_CONTENT_FIND:
    case CONTROL_EXPORT:
    case CONTROL_EXPORT_ALLOW:
    case CONTROL_EXPORT_END:
    case CONTROL_IMPORT:
        agent_answer(s, &packet, blob, (size_t)length, fd);
        return 0;
    case CONTROL_GRANT:
        gate_grant(s, packet.a);
        break;
    case CONTROL_REVOKE:
        gate_revoke(s);
        break;
    case CONTROL_RECALL:
        send_recall(s, packet.a);
        break;
    case CONTROL_END:
        send_bye(s);
        session_end(s, "the agent ended it");
        break;
    default:
        break; /* a newer agent's */
    }
    if (fd >= 0)
        close(fd);
    return 0;
}

/*
 * Serves the agent until it closes or the client is gone. The main thread sees the client's end by itself, unless a vendor
 * call holds it up; then the session would live on with nobody there, so this thread watches the connection too.
 */
static void agent_serve(struct session *s)
{
    struct pollfd watched[2] = {{.fd = s->control_fd, .events = POLLIN}, {.fd = s->stream.fd, .events = POLLRDHUP}};
    uint8_t *blob = malloc(CONTROL_BLOB_MAX);

    while (blob) {
        const int ready = poll(watched, 2, watched[1].fd < 0 ? AGENT_PATIENCE_MS : -1);

        if (ready == 0 || (ready < 0 && errno != EINTR))
            break;
        if (ready > 0 && watched[0].revents && agent_packet(s, blob))
            break;
        if (ready > 0 && watched[1].revents)
            watched[1].fd = -1;
    }
    free(blob);
}

static void *agent_run(void *opaque)
{
    struct session *s = opaque;
    struct timespec until;

    agent_serve(s);
    session_end(s, "nobody is at the other end");
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += AGENT_PATIENCE_MS / 1000;
    pthread_mutex_lock(&s->agent.lock);
    s->agent.closed = 1;
    pthread_cond_broadcast(&s->agent.answered);
    while (!s->agent.leaving)
        if (pthread_cond_timedwait(&s->agent.answered, &s->agent.lock, &until) == ETIMEDOUT) {
            gate_flush(s);
            _exit(EXIT_FAILURE); /* the device holds the main thread up: nothing else ends this process */
        }
    pthread_mutex_unlock(&s->agent.lock);
    return NULL;
}

int agent_open(struct session *s)
{
    if (pthread_mutex_init(&s->agent.lock, NULL) || pthread_cond_init(&s->agent.answered, NULL) ||
        pthread_create(&s->agent.thread, NULL, agent_run, s))
        return -1;
    s->agent.started = 1;
    return 0;
}

void agent_close(struct session *s)
{
    if (!s->agent.started)
        return;
    pthread_mutex_lock(&s->agent.lock);
    s->agent.leaving = 1;
    pthread_cond_broadcast(&s->agent.answered);
    pthread_mutex_unlock(&s->agent.lock);
    shutdown(s->control_fd, SHUT_RD);
    pthread_join(s->agent.thread, NULL);
    s->agent.started = 0;
}

int agent_tell(struct session *s, uint32_t type, uint64_t a, uint64_t b, uint64_t c)
{
    const struct control_packet packet = {.type = type, .a = a, .b = b, .c = c};

    return control_send(s->control_fd, &packet, NULL, 0, NULL, 0);
}

int agent_send(struct session *s, const struct control_packet *packet, const struct agent_extra *extra)
{
    return control_send(s->control_fd, packet, extra ? extra->blob : NULL, extra ? extra->length : 0,
                        extra && extra->fd >= 0 ? &extra->fd : NULL, extra && extra->fd >= 0);
}

int agent_ask(struct session *s, const struct control_packet *question, const struct agent_extra *with,
              struct control_packet *answer, struct agent_extra *got)
{
    struct control_packet packet = *question;
    struct agent_question entry = {.type = question->type, .blob = got ? got->blob : NULL, .fd = -1};
    struct agent_question **at;
    int result = -1;

    pthread_mutex_lock(&s->agent.lock);
    if (++s->agent.next_id == 0)
        s->agent.next_id = 1;
    entry.id = packet.id = s->agent.next_id;
    entry.next = s->agent.questions;
    s->agent.questions = &entry;
    pthread_mutex_unlock(&s->agent.lock);

    int sent = agent_send(s, &packet, with);

    pthread_mutex_lock(&s->agent.lock);
    while (sent == 0 && !entry.done && !s->agent.closed)
        pthread_cond_wait(&s->agent.answered, &s->agent.lock);
    for (at = &s->agent.questions; *at != &entry; at = &(*at)->next)
        ;
    *at = entry.next;
    if (entry.done) {
        *answer = entry.answer;
        result = 0;
    }
    pthread_mutex_unlock(&s->agent.lock);
    if (got) {
        got->length = entry.length;
        got->fd = entry.fd;
    } else if (entry.fd >= 0) {
        close(entry.fd);
    }
    return result;
}
