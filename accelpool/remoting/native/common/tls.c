/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes through an established connection. */
#include "tls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>

#include "tls_state.h"

/* AES-GCM may seal 2^24.5 records with one key (RFC 8446, 5.5); this is 2^22 full ones. */
#ifndef TLS_REKEY_BYTES
#define TLS_REKEY_BYTES (64ull << 30)
#endif

/* --- OpenSSL's side: memory only, under the lock ------------------------------------------------------------------ */

static int bio_read(BIO *bio, char *to, size_t size, size_t *got)
{
    struct tls *tls = BIO_get_data(bio);
    size_t there = tls->in_end - tls->in_begin;

    BIO_clear_retry_flags(bio);
    *got = there < size ? there : size;
    if (!*got) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(to, tls->in + tls->in_begin, *got);
    tls->in_begin += *got;
    return 1;
}

static int bio_write(BIO *bio, const char *from, size_t size, size_t *put)
{
    struct tls *tls = BIO_get_data(bio);
    size_t room = TLS_OUT - tls->out_end;

    BIO_clear_retry_flags(bio);
    *put = room < size ? room : size;
    if (!*put) {
        BIO_set_retry_write(bio);
        return 0;
    }
    memcpy(tls->out + tls->out_end, from, *put);
    tls->out_end += *put;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO *tls_bio(struct tls *tls)
{
    static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
    static BIO_METHOD *method;
    BIO *bio = NULL;

    pthread_mutex_lock(&once);
    if (!method && (method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "accelpool"))) {
        BIO_meth_set_read_ex(method, bio_read);
        BIO_meth_set_write_ex(method, bio_write);
        BIO_meth_set_ctrl(method, bio_control);
        BIO_meth_set_create(method, bio_create);
    }
    pthread_mutex_unlock(&once);
    if (method && (bio = BIO_new(method)))
        BIO_set_data(bio, tls);
    return bio;
}

/* --- the socket's side -------------------------------------------------------------------------------------------- */

ssize_t tls_fill(struct tls *tls, int flags)
{
    ssize_t got;

    if (tls->in_begin == tls->in_end)
        tls->in_begin = tls->in_end = 0;
    do
        got = recv(tls->fd, tls->in + tls->in_end, TLS_IN - tls->in_end, flags & MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        tls->in_end += (size_t)got;
    return got;
}

int tls_drain(struct tls *tls, int flags)
{
    for (;;) {
        while (tls->sending_begin < tls->sending_end) {
            ssize_t sent = send(tls->fd, tls->sending + tls->sending_begin, tls->sending_end - tls->sending_begin,
                                (flags & MSG_DONTWAIT) | MSG_NOSIGNAL);
            if (sent < 0 && errno == EINTR)
                continue;
            if (sent < 0)
                return -1;
            tls->sending_begin += (size_t)sent;
        }
        pthread_mutex_lock(&tls->lock);
        uint8_t *empty = tls->sending;
        tls->sending = tls->out;
        tls->sending_begin = 0;
        tls->sending_end = tls->out_end;
        tls->out = empty;
        tls->out_end = 0;
        pthread_mutex_unlock(&tls->lock);
        if (!tls->sending_end)
            return 0;
    }
}

/* --- both --------------------------------------------------------------------------------------------------------- */

/* Some of one record: 1; 0: it is not here yet; -1: the end, with errno 0 for an orderly one. */
static int open_some(struct tls *tls, void *to, size_t size, size_t *got)
{
    int error = SSL_ERROR_NONE;

    pthread_mutex_lock(&tls->lock);
    ERR_clear_error();
    if (!SSL_read_ex(tls->ssl, to, size, got))
        error = SSL_get_error(tls->ssl, 0);
    pthread_mutex_unlock(&tls->lock);
    if (error == SSL_ERROR_NONE)
        return 1;
    if (error == SSL_ERROR_WANT_READ)
        return 0;
    errno = error == SSL_ERROR_ZERO_RETURN ? 0 : EPROTO;
    return -1;
}

ssize_t tls_receive(struct tls *tls, const struct iovec *parts, int count, int flags)
{
    size_t total = 0;

    for (int i = 0; i < count; i++) {
        for (size_t done = 0; done < parts[i].iov_len;) {
            size_t got = 0;
            int opened = open_some(tls, (uint8_t *)parts[i].iov_base + done, parts[i].iov_len - done, &got);

            done += got;
            total += got;
            if (opened > 0)
                continue;
            if (total && (opened < 0 || !(flags & MSG_WAITALL)))
                return (ssize_t)total;
            if (opened < 0)
                return errno ? -1 : 0;
            ssize_t filled = tls_fill(tls, flags);
            if (filled <= 0)
                return total ? (ssize_t)total : filled;
        }
    }
    return (ssize_t)total;
}

/* Seals at most TLS_BURST bytes from the front of the parts; returns how many, or 0 with errno. */
static size_t seal(struct tls *tls, const struct iovec *part, int count, size_t skip)
{
    const uint8_t *from = (const uint8_t *)part->iov_base + skip;
    size_t size = part->iov_len - skip, put = 0;

    if (size < TLS_RECORD && count > 1) { /* small parts share a record */
        for (size = 0; count && size < TLS_RECORD; part++, count--, skip = 0) {
            size_t more = part->iov_len - skip;
            if (more > TLS_RECORD - size)
                more = TLS_RECORD - size;
            if (more)
                memcpy(tls->gathered + size, (const uint8_t *)part->iov_base + skip, more);
            size += more;
        }
        from = tls->gathered;
    } else if (size > TLS_BURST) {
        size = TLS_BURST;
    }
    pthread_mutex_lock(&tls->lock);
    ERR_clear_error();
    if (tls->sealed > TLS_REKEY_BYTES && SSL_key_update(tls->ssl, SSL_KEY_UPDATE_NOT_REQUESTED))
        tls->sealed = 0;
    if (SSL_write_ex(tls->ssl, from, size, &put))
        tls->sealed += put;
    pthread_mutex_unlock(&tls->lock);
    if (!put)
        errno = EPROTO;
    return put;
}

ssize_t tls_send(struct tls *tls, const struct iovec *parts, int count, int flags)
{
    size_t total = 0, skip = 0;

    for (;;) {
        if (tls_drain(tls, flags))
            return total && (errno == EAGAIN || errno == EWOULDBLOCK) ? (ssize_t)total : -1;
        while (count && skip >= parts->iov_len) {
            skip -= parts->iov_len;
            parts++;
            count--;
        }
        if (!count)
            return (ssize_t)total;
        size_t sealed = seal(tls, parts, count, skip);
        if (!sealed)
            return -1;
        total += sealed;
        skip += sealed;
    }
}

size_t tls_unsent(const struct tls *tls)
{
    return tls->sending_end - tls->sending_begin;
}

int tls_holds(struct tls *tls)
{
    if (tls->in_begin < tls->in_end)
        return 1;
    pthread_mutex_lock(&tls->lock);
    int pending = SSL_has_pending(tls->ssl);
    pthread_mutex_unlock(&tls->lock);
    return pending;
}
