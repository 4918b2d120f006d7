/* SPDX-License-Identifier: Apache-2.0 */
#include "stream.h"

#include "tls.h"

ssize_t stream_receive(struct stream *stream, const struct iovec *parts, int count, int flags)
{
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};

    return stream->tls ? tls_receive(stream->tls, parts, count, flags) : recvmsg(stream->fd, &message, flags);
}

ssize_t stream_send(struct stream *stream, const struct iovec *parts, int count, int flags)
{
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};

    if (stream->tls)
        return tls_send(stream->tls, parts, count, flags);
    return count ? sendmsg(stream->fd, &message, flags | MSG_NOSIGNAL) : 0;
}

size_t stream_unsent(const struct stream *stream)
{
    return stream->tls ? tls_unsent(stream->tls) : 0;
}

int stream_holds(const struct stream *stream)
{
    return stream->tls && tls_holds(stream->tls);
}

void stream_close(struct stream *stream)
{
    tls_close(stream->tls);
    stream->tls = NULL;
}
