/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kernels print. A vendor's library writes it to the standard output while somebody waits for the device, so standard
 * output is a pipe here, and what came through it goes to the client before the answer that was waited for.
 *
 * A thread takes it out of the pipe meanwhile and never waits for the client: a library that writes holds locks, and the
 * meter's thread may be the one that writes, with the grant. What a client leaves unread for too long is lost, as in a device
 * whose buffer is full.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "state.h"

#define PIPE_BYTES (1u << 20)  /* what CUDA's devices keep by default (CU_LIMIT_PRINTF_FIFO_SIZE) */
#define TEXT_BYTES (16u << 20) /* of the session */
#define NAP_MICROSECONDS 1000  /* so that a line is not a wake-up */

/* With the lock. */
static void output_keep(struct output *o, const uint8_t *bytes, size_t length)
{
    const size_t room = TEXT_BYTES - o->length;
    uint8_t *larger;

    length = length < room ? length : room;
    if (!length || !(larger = realloc(o->text, o->length + length)))
        return;
    o->text = larger;
    memcpy(o->text + o->length, bytes, length);
    o->length += length;
}

/* With the lock: what was in the pipe when it was called; who goes on writing is not waited for. */
static void output_take(struct output *o)
{
    uint8_t bytes[16384];
    size_t left = PIPE_BYTES;
    ssize_t got;

    while (left && (got = read(o->pipe, bytes, left < sizeof bytes ? left : sizeof bytes)) > 0) {
        output_keep(o, bytes, (size_t)got);
        left -= (size_t)got;
    }
}

static void *output_run(void *opaque)
{
    struct output *o = opaque;
    struct pollfd readable = {.fd = o->pipe, .events = POLLIN};

    while (!(readable.revents & POLLHUP)) {
        readable.revents = 0;
        if (poll(&readable, 1, -1) <= 0)
            continue;
        usleep(NAP_MICROSECONDS);
        pthread_mutex_lock(&o->lock);
        output_take(o);
        pthread_mutex_unlock(&o->lock);
    }
    return NULL;
}

int output_open(struct session *s)
{
    struct output *o = &s->output;
    int ends[2];

    if (pthread_mutex_init(&o->lock, NULL) || pthread_mutex_init(&o->sending, NULL) || pipe2(ends, O_CLOEXEC))
        return -1;
    fcntl(ends[0], F_SETPIPE_SZ, PIPE_BYTES); /* a kernel that grants less is none the worse: the thread reads */
    o->pipe = ends[0];
    o->before = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    const int failed = o->before < 0 || fcntl(o->pipe, F_SETFL, O_NONBLOCK) || dup2(ends[1], STDOUT_FILENO) < 0;
    close(ends[1]);
    if (failed || pthread_create(&o->thread, NULL, output_run, o))
        return -1;
    o->on = 1;
    return 0;
}

void output_flush(struct session *s)
{
    struct output *o = &s->output;
    struct iovec part;
    uint8_t *text;
    size_t length;

    if (!o->on)
        return;
    fflush(stdout); /* the vendor's library may share it */
    pthread_mutex_lock(&o->sending);
    pthread_mutex_lock(&o->lock);
    output_take(o);
    text = o->text;
    length = o->length;
    o->text = NULL;
    o->length = 0;
    pthread_mutex_unlock(&o->lock);
    for (size_t at = 0; at < length && !atomic_load(&s->ended); at += part.iov_len) {
        part.iov_base = text + at;
        part.iov_len = length - at < WIRE_CHUNK_MAX ? length - at : WIRE_CHUNK_MAX;
        send_frame(s, WIRE_OUTPUT, 0, 0, &part, 1);
    }
    pthread_mutex_unlock(&o->sending);
    free(text);
}

void output_close(struct session *s)
{
    struct output *o = &s->output;

    if (!o->on)
        return;
    dup2(o->before, STDOUT_FILENO); /* nobody has the pipe's other end now, so the thread ends */
    close(o->before);
    pthread_join(o->thread, NULL);
    close(o->pipe);
    free(o->text);
    *o = (struct output){0};
}
