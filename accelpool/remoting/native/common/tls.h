/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS 1.3 (RFC 8446) over a socket that another thread may use in the other direction at the same time. OpenSSL does the
 * cryptography in memory, under a lock; the socket is read and written outside of it, so neither direction ever waits for the
 * other's peer.
 *
 * The two ends have authenticated each other by the session's credential before (see wire.h) and share a key that is fresh for
 * this connection. With WIRE_TLS_PSK that key is the external pre-shared key of the handshake (psk_dhe_ke: with forward
 * secrecy). With WIRE_TLS_CERTIFICATE both show certificates of the operator's authority, and prove inside the connection that
 * they know the key, over the connection's exporter secret (RFC 5705), so that nobody else with a certificate can step in.
 */
#ifndef ACCELPOOL_TLS_H
#define ACCELPOOL_TLS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "wire.h"

struct tls;

struct tls_terms {
    int server;
    enum wire_transport transport;
    uint8_t key[WIRE_KEY]; /* fresh for this connection */
    /* Certificates only, PEM: */
    const char *authority, *certificate, *private_key;
    const char *peer; /* client: the address that the server's certificate must name */
};

/* Everything up to the first byte; needs files and random numbers, but no peer. NULL with a reason. */
struct tls *tls_open(const struct tls_terms *terms, char *why, size_t why_size);
/* Shakes hands over a blocking socket within `seconds`. 0, or -1 with a reason. */
int tls_handshake(struct tls *tls, int fd, unsigned seconds, char *why, size_t why_size);
void tls_close(struct tls *tls);

/* stream.h has the meaning of these. */
ssize_t tls_receive(struct tls *tls, const struct iovec *parts, int count, int flags);
ssize_t tls_send(struct tls *tls, const struct iovec *parts, int count, int flags);
size_t tls_unsent(const struct tls *tls);
int tls_holds(struct tls *tls);

#endif
