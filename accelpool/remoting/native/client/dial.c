/* SPDX-License-Identifier: Apache-2.0 */
#include "dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* A peer that is silent on a broken network is given up after this. */
#define NETWORK_MILLISECONDS 20000u

/* --- frames ------------------------------------------------------------------------------------------------------- */

static int get(struct stream *stream, void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        const struct iovec part = {(char *)data + done, size - done};
        ssize_t got = stream_receive(stream, &part, 1, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        done += (size_t)got;
    }
    return 0;
}

int frame_put(struct stream *stream, uint16_t opcode, const void *payload, uint32_t length)
{
    char frame[WIRE_HANDSHAKE_MAX];
    struct wire_header header = {.length = length, .opcode = opcode};

    if (length > sizeof frame - sizeof header)
        return -1;
    memcpy(frame, &header, sizeof header);
    if (length)
        memcpy(frame + sizeof header, payload, length);
    for (size_t done = 0; done < sizeof header + length;) {
        const struct iovec part = {frame + done, sizeof header + length - done};
        ssize_t sent = stream_send(stream, &part, 1, 0);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return -1;
        done += (size_t)sent;
    }
    return 0;
}

ssize_t frame_get(struct stream *stream, uint16_t wanted, void *payload, size_t size, char *why, size_t why_size)
{
    struct wire_header header;

    if (get(stream, &header, sizeof header)) {
        snprintf(why, why_size, "the agent closed the connection or does not answer");
        return -1;
    }
    if (header.opcode == WIRE_REFUSED) {
        char text[1024] = "";
        size_t length = header.length < sizeof text ? header.length : sizeof text - 1;
        if (!get(stream, text, length) && length > sizeof(struct wire_refused))
            snprintf(why, why_size, "the agent refuses: %.*s", (int)(length - sizeof(struct wire_refused)),
                     text + sizeof(struct wire_refused));
        else
            snprintf(why, why_size, "the agent refuses");
        return -1;
    }
    if (header.opcode != wanted || header.length > size || get(stream, payload, header.length)) {
        snprintf(why, why_size, "the agent speaks another protocol (frame %u of %u bytes)", header.opcode, header.length);
        return -1;
    }
    return (ssize_t)header.length;
}

/* --- URLs --------------------------------------------------------------------------------------------------------- */

int dial_host(const char *url, char *host, size_t size)
{
    const char *where = url + 6, *colon = strncmp(url, "tcp://", 6) ? NULL : strrchr(where, ':');

    if (!colon || (size_t)(colon - where) >= size)
        return -1;
    memcpy(host, where, (size_t)(colon - where));
    host[colon - where] = 0;
    return 0;
}

static int tcp_address(const char *url, struct sockaddr_in *address)
{
    char host[64];

    if (dial_host(url, host, sizeof host))
        return -1;
    long port = strtol(strrchr(url, ':') + 1, NULL, 10);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return port >= 1 && port <= 65535 && inet_pton(AF_INET, host, &address->sin_addr) == 1 ? 0 : -1;
}

int dial_is_local(const char *url)
{
    struct sockaddr_in address;

    return !strncmp(url, "unix://", 7) ||
           (!tcp_address(url, &address) && ntohl(address.sin_addr.s_addr) >> 24 == 127);
}

/* --- sockets ------------------------------------------------------------------------------------------------------ */

static void set_patience(int fd, time_t seconds)
{
    const struct timeval patience = {.tv_sec = seconds};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

void dial_done(int fd)
{
    set_patience(fd, 0);
}

static void set_tcp(int fd)
{
    const int one = 1;
    const unsigned limit = NETWORK_MILLISECONDS;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
}

static int open_socket(int family, const struct sockaddr *address, socklen_t size)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    set_patience(fd, DIAL_SECONDS);
    if (!connect(fd, address, size))
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int dial_url(const char *url, char *why, size_t why_size)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    struct sockaddr_in address;
    int fd;

    if (!strncmp(url, "unix://", 7) && strlen(url + 7) < sizeof path.sun_path) {
        strcpy(path.sun_path, url + 7);
        fd = open_socket(AF_UNIX, (struct sockaddr *)&path, sizeof path);
    } else if (!tcp_address(url, &address)) {
        fd = open_socket(AF_INET, (struct sockaddr *)&address, sizeof address);
        if (fd >= 0)
            set_tcp(fd);
    } else {
        snprintf(why, why_size, "%s: this runtime knows unix://<path> and tcp://<address>:<port>", url);
        return -1;
    }
    if (fd < 0)
        snprintf(why, why_size, "%s: %s", url, strerror(errno));
    return fd;
}

/* --- by way of the consumer's own agent --------------------------------------------------------------------------- */

/*
 * The answer to ROUTE. Over a unix socket it brings a descriptor: the connection itself, which is ours from then on.
 * Returns 0 with *passed = that or -1, or -1 with a reason.
 */
static int get_routed(int fd, int *passed, char *why, size_t why_size)
{
    struct wire_header header = {0};
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {&header, sizeof header};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct stream stream = {.fd = fd};
    ssize_t got;

    *passed = -1;
    do
        got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_PEEK);
    while (got < 0 && errno == EINTR);
    if (got == (ssize_t)sizeof header && header.opcode == WIRE_ROUTED) {
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
            if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
                memcpy(passed, CMSG_DATA(c), sizeof *passed);
    }
    return frame_get(&stream, WIRE_ROUTED, NULL, 0, why, why_size) < 0 ? -1 : 0;
}

static int dial_via(const struct attachment_way *way, char *why, size_t why_size)
{
    int passed, fd = dial_url(way->via, why, why_size);

    if (fd < 0)
        return -1;
    struct stream stream = {.fd = fd};
    if (frame_put(&stream, WIRE_ROUTE, way->ticket, (uint32_t)strlen(way->ticket))) {
        snprintf(why, why_size, "%s: the agent closed the connection", way->via);
    } else if (!get_routed(fd, &passed, why, why_size)) {
        if (passed < 0)
            return fd; /* the agent passes the bytes on */
        close(fd);
        fcntl(passed, F_SETFL, fcntl(passed, F_GETFL) & ~O_NONBLOCK);
        set_patience(passed, DIAL_SECONDS);
        set_tcp(passed);
        return passed;
    }
    close(fd);
    return -1;
}

int dial(const struct attachment_way *way, char *why, size_t why_size)
{
    const int fd = *way->via ? dial_via(way, why, why_size) : dial_url(way->url, why, why_size);

    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    /* The program was started without one of these and may write there nevertheless. */
    const int other = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (other < 0)
        snprintf(why, why_size, "no descriptor is free");
    close(fd);
    return other;
}
