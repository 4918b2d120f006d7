/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACCELPOOL_TLS_STATE_H
#define ACCELPOOL_TLS_STATE_H

#include <openssl/ssl.h>
#include <pthread.h>

#include "tls.h"

#define TLS_RECORD 16384u            /* plaintext bytes of a record at most (RFC 8446, 5.1) */
#define TLS_BURST (4 * TLS_RECORD)   /* plaintext that is sealed before it is sent */
#define TLS_IN (128u << 10)
#define TLS_OUT (TLS_BURST + 4096u)  /* sealed: 22 bytes more a record, and what the protocol says by itself */

struct tls {
    SSL_CTX *context;
    SSL *ssl;
    int fd, server;
    enum wire_transport transport;
    uint8_t key[WIRE_KEY]; /* wiped after the handshake */
    pthread_mutex_t lock;  /* ssl, and out */
    uint8_t *in;           /* the receiver's: from the socket, not yet seen by ssl */
    size_t in_begin, in_end;
    uint8_t *out;          /* sealed by ssl, not yet with the sender */
    size_t out_end;
    uint8_t *sending;      /* the sender's: on its way to the socket */
    size_t sending_begin, sending_end;
    uint8_t *gathered;     /* the sender's: small parts that share a record */
    uint64_t sealed;       /* bytes since the last change of the key */
};

/* --- tls_open.c --- */
/* Why the last call into OpenSSL failed. */
const char *tls_reason(void);

/* --- tls.c --- */
/* Receives more into `in`. As recv(). */
ssize_t tls_fill(struct tls *tls, int flags);
/* Sends what is sealed. 0, or -1 with errno. */
int tls_drain(struct tls *tls, int flags);
/* OpenSSL's way to both. */
BIO *tls_bio(struct tls *tls);

#endif
