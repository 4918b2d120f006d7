/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

int control_send(int fd, const struct control_packet *packet, const void *blob, size_t length, const int *fds,
                 unsigned fd_count)
{
    union {
        char bytes[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } ancillary;
    struct iovec parts[2] = {
        {.iov_base = (void *)packet, .iov_len = sizeof *packet},
        {.iov_base = (void *)blob, .iov_len = length},
    };
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = length ? 2 : 1};
    ssize_t sent;

    if (length > CONTROL_BLOB_MAX || fd_count > CONTROL_FDS_MAX) {
        errno = EMSGSIZE;
        return -1;
    }
    if (fd_count > 0) {
        memset(&ancillary, 0, sizeof ancillary);
        message.msg_control = ancillary.bytes;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(header), fds, fd_count * sizeof(int));
    }
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -1 : 0;
}

/* Moves at most room descriptors to fds and closes the rest; returns how many arrived in all. */
static unsigned take_descriptors(struct msghdr *message, int *fds, unsigned room)
{
    unsigned arrived = 0;

    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int received;
            memcpy(&received, CMSG_DATA(header) + i * sizeof(int), sizeof received);
            if (arrived < room)
                fds[arrived] = received;
            else
                close(received);
            arrived++;
        }
    }
    return arrived;
}

ssize_t control_receive(int fd, struct control_packet *packet, void *blob, int *fds, unsigned *fd_count, int flags)
{
    union {
        char bytes[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } ancillary;
    struct iovec parts[2] = {
        {.iov_base = packet, .iov_len = sizeof *packet},
        {.iov_base = blob, .iov_len = CONTROL_BLOB_MAX},
    };
    struct msghdr message = {
        .msg_iov = parts,
        .msg_iovlen = blob ? 2 : 1,
        .msg_control = ancillary.bytes,
        .msg_controllen = sizeof ancillary.bytes,
    };
    unsigned room = fd_count ? *fd_count : 0, arrived;
    ssize_t received;
    int problem = 0;

    do
        received = recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC);
    while (received < 0 && errno == EINTR);
    if (received < 0)
        return -1;
    arrived = take_descriptors(&message, fds, room);
    if (received == 0)
        errno = 0; /* the other end has closed; nobody sends empty packets */
    else if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || arrived > room)
        problem = EMSGSIZE;
    else if ((size_t)received < sizeof *packet)
        problem = EBADMSG;
    if (received == 0 || problem) {
        for (unsigned i = 0; i < arrived && i < room; i++)
            close(fds[i]);
        errno = problem;
        return -1;
    }
    if (fd_count)
        *fd_count = arrived;
    return received - (ssize_t)sizeof *packet;
}
