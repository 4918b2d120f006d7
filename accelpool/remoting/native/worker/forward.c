/* SPDX-License-Identifier: Apache-2.0 */
/* The front door of a consumer that has no unix socket: bytes go through a pipe from socket to socket and are never looked at. */
#include "forward.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "session.h"

#define FORWARD_PIPE (1 << 20)

struct way {
    int from, to;
    int pipe[2];
    size_t held;  /* bytes in the pipe */
    size_t room;  /* of the pipe */
    int ended;    /* nothing more comes in */
    int finished; /* and the other side knows */
};

static int way_open(struct way *way, int from, int to)
{
    *way = (struct way){.from = from, .to = to};
    if (pipe2(way->pipe, O_CLOEXEC | O_NONBLOCK))
        return -1;
    int size = fcntl(way->pipe[0], F_SETPIPE_SZ, FORWARD_PIPE); /* a host may allow less */
    if (size < 0)
        size = fcntl(way->pipe[0], F_GETPIPE_SZ);
    way->room = size > 0 ? (size_t)size : 65536;
    return fcntl(from, F_SETFL, O_NONBLOCK);
}

/* Moves what can be moved now. 0, or -1: the connection is broken. */
static int way_move(struct way *way)
{
    while (!way->finished) {
        ssize_t in = 0, out = 0;

        if (!way->ended && way->held < way->room) {
            in = splice(way->from, NULL, way->pipe[1], NULL, way->room - way->held, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
            if (in < 0 && errno != EAGAIN && errno != EINTR)
                return -1;
            way->ended = in == 0;
            way->held += in > 0 ? (size_t)in : 0;
        }
        if (way->held) {
            out = splice(way->pipe[0], NULL, way->to, NULL, way->held, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
            if (out < 0 && errno != EAGAIN && errno != EINTR)
                return -1;
            way->held -= out > 0 ? (size_t)out : 0;
        }
        if (way->ended && !way->held) {
            shutdown(way->to, SHUT_WR);
            way->finished = 1;
        }
        if (in <= 0 && out <= 0)
            break;
    }
    return 0;
}

int forward_run(int consumer, int onwards)
{
    struct way ways[2];

    if (way_open(&ways[0], consumer, onwards) || way_open(&ways[1], onwards, consumer) || sandbox_enter(0))
        return EXIT_FAILURE;
    while (!ways[0].finished || !ways[1].finished) {
        struct pollfd ready[2] = {{.fd = consumer}, {.fd = onwards}};

        for (int i = 0; i < 2; i++) {
            if (way_move(&ways[i]))
                return EXIT_SUCCESS;
            if (ways[i].held) /* first out: a pipe may be full of small pieces */
                ready[!i].events |= POLLOUT;
            else if (!ways[i].ended)
                ready[i].events |= POLLIN;
        }
        for (int i = 0; i < 2; i++) /* poll() would go on telling of a side that nothing is wanted of now */
            if (!ready[i].events)
                ready[i].fd = -1;
        if (poll(ready, 2, -1) < 0 && errno != EINTR)
            return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
