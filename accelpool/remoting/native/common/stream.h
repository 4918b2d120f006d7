/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connected socket, as it is or inside TLS. One thread at a time may receive and one may send, the two at once.
 */
#ifndef ACCELPOOL_STREAM_H
#define ACCELPOOL_STREAM_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

struct tls;

struct stream {
    int fd;          /* stays the owner's to close */
    struct tls *tls; /* NULL: plaintext */
};

/*
 * As recvmsg(): at least one byte, as many as are there; MSG_WAITALL: all of it. MSG_DONTWAIT: -1 with EAGAIN where nothing is
 * there. 0: the end. EINTR never comes out of TLS.
 */
ssize_t stream_receive(struct stream *stream, const struct iovec *parts, int count, int flags);
/*
 * As sendmsg(); never raises SIGPIPE. With MSG_DONTWAIT what was taken may still lie here: see stream_unsent(). Sending nothing
 * (count 0) sends what lies here.
 */
ssize_t stream_send(struct stream *stream, const struct iovec *parts, int count, int flags);
/* Bytes that stream_send() has taken and the kernel has not. Only the sender may ask. */
size_t stream_unsent(const struct stream *stream);
/* Whether bytes that poll() cannot see may be waiting here. Only the receiver may ask. */
int stream_holds(const struct stream *stream);
/* Frees what TLS needs; says nothing to the peer. */
void stream_close(struct stream *stream);

#endif
