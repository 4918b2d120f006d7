/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kernels print. A vendor's library writes it to the standard output while somebody waits for the device, so standard
 * output is a pipe here, and what is in it goes to the client before the answer that was waited for. A thread keeps the pipe
 * empty meanwhile, for the library may write more than the pipe holds.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "state.h"

#define PIPE_BYTES (1 << 20) /* what CUDA's devices keep by default (CU_LIMIT_PRINTF_FIFO_SIZE) */
#define PART 16384           /* bytes of one frame */

/* All that is in the pipe; what the client does not take any more is dropped. */
static void output_send(struct session *s)
{
    uint8_t bytes[PART];
    ssize_t got;

    pthread_mutex_lock(&s->output.lock); /* also over the sending: answers of other threads wait for it */
    while ((got = read(s->output.pipe, bytes, sizeof bytes)) > 0) {
        struct iovec part = {bytes, (size_t)got};

        if (!atomic_load(&s->ended))
            send_frame(s, WIRE_OUTPUT, 0, 0, &part, 1);
    }
    pthread_mutex_unlock(&s->output.lock);
}

static void *output_run(void *opaque)
{
    struct session *s = opaque;
    struct pollfd readable = {.fd = s->output.pipe, .events = POLLIN};

    while (!(readable.revents & POLLHUP)) {
        readable.revents = 0;
        if (poll(&readable, 1, -1) > 0)
            output_send(s);
    }
    return NULL;
}

int output_open(struct session *s)
{
    struct output *o = &s->output;
    int ends[2];

    if (pthread_mutex_init(&o->lock, NULL) || pipe2(ends, O_CLOEXEC))
        return -1;
    fcntl(ends[0], F_SETPIPE_SZ, PIPE_BYTES); /* a kernel that grants less is none the worse: the thread reads */
    o->pipe = ends[0];
    o->before = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    const int failed = o->before < 0 || fcntl(o->pipe, F_SETFL, O_NONBLOCK) || dup2(ends[1], STDOUT_FILENO) < 0;
    close(ends[1]);
    if (failed || pthread_create(&o->thread, NULL, output_run, s))
        return -1;
    o->on = 1;
    return 0;
}

void output_flush(struct session *s)
{
    if (!s->output.on)
        return;
    fflush(stdout); /* the vendor's library may share it */
    output_send(s);
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
    o->on = 0;
}
