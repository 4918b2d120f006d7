/* SPDX-License-Identifier: Apache-2.0 */
/* What an end of a connection is and accepts, and the handshake. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "sha256.h"
#include "tls.h"
#include "tls_state.h"

/* Both hash with SHA-256, as the pre-shared key wants (RFC 8446, 4.2.11). The second is for machines without AES. */
#define SUITES "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS "X25519:P-256"
#define IDENTITY "accelpool" /* of the pre-shared key: there is one, of this connection */
#define EXPORTER "EXPORTER-accelpool-credential"

static const unsigned char SUITE_OF_KEY[] = {0x13, 0x01}; /* TLS_AES_128_GCM_SHA256 */

const char *tls_reason(void)
{
    unsigned long error = ERR_peek_last_error();
    const char *text = error ? ERR_reason_error_string(error) : NULL;

    return text ? text : "no reason given";
}

/* --- the pre-shared key ------------------------------------------------------------------------------------------- */

static SSL_SESSION *key_session(SSL *ssl)
{
    const struct tls *tls = SSL_get_app_data(ssl);
    const SSL_CIPHER *suite = SSL_CIPHER_find(ssl, SUITE_OF_KEY);
    SSL_SESSION *session = SSL_SESSION_new();

    if (suite && session && SSL_SESSION_set1_master_key(session, tls->key, sizeof tls->key) &&
        SSL_SESSION_set_cipher(session, suite) && SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION))
        return session;
    SSL_SESSION_free(session);
    return NULL;
}

static int use_key(SSL *ssl, const EVP_MD *hash, const unsigned char **identity, size_t *length, SSL_SESSION **session)
{
    (void)hash; /* all our suites have the same */
    *session = key_session(ssl);
    *identity = (const unsigned char *)IDENTITY;
    *length = sizeof IDENTITY - 1;
    return *session != NULL;
}

static int find_key(SSL *ssl, const unsigned char *identity, size_t length, SSL_SESSION **session)
{
    *session = NULL;
    if (length == sizeof IDENTITY - 1 && !memcmp(identity, IDENTITY, length))
        *session = key_session(ssl);
    return 1; /* without a session the handshake goes on, and ends for want of a certificate */
}

/* --- certificates ------------------------------------------------------------------------------------------------- */

static int add_authority(SSL_CTX *context, const char *pem)
{
    BIO *text = BIO_new_mem_buf(pem, -1);
    X509 *certificate;
    int count = 0;

    while (text && (certificate = PEM_read_bio_X509(text, NULL, NULL, NULL))) {
        count += X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate);
        X509_free(certificate);
    }
    BIO_free(text);
    ERR_clear_error(); /* the end of the text */
    return count ? 0 : -1;
}

static int add_certificate(SSL *ssl, const char *pem)
{
    BIO *text = BIO_new_mem_buf(pem, -1);
    X509 *certificate;
    int count = 0;

    while (text && (certificate = PEM_read_bio_X509(text, NULL, NULL, NULL))) {
        if (!(count++ ? SSL_add1_chain_cert(ssl, certificate) : SSL_use_certificate(ssl, certificate)))
            count = -1;
        X509_free(certificate);
        if (count < 0)
            break;
    }
    BIO_free(text);
    ERR_clear_error();
    return count > 0 ? 0 : -1;
}

static int add_private_key(SSL *ssl, const char *pem)
{
    BIO *text = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = text ? PEM_read_bio_PrivateKey(text, NULL, NULL, NULL) : NULL;
    int good = key && SSL_use_PrivateKey(ssl, key) && SSL_check_private_key(ssl);

    EVP_PKEY_free(key);
    BIO_free(text);
    return good ? 0 : -1;
}

/* They belong to the connection, not to the context, so that SSL_certs_clear() lets go of the private key. */
static int use_certificates(struct tls *tls, const struct tls_terms *terms)
{
    if (!terms->authority || !terms->certificate || !terms->private_key ||
        add_authority(tls->context, terms->authority) || add_certificate(tls->ssl, terms->certificate) ||
        add_private_key(tls->ssl, terms->private_key))
        return -1;
    SSL_set_verify(tls->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return terms->server || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls->ssl), terms->peer) ? 0 : -1;
}

/* --- an end ------------------------------------------------------------------------------------------------------- */

static int set_up(struct tls *tls, const struct tls_terms *terms)
{
    const int certificates = terms->transport == WIRE_TLS_CERTIFICATE;

    /* Nothing of the machine's configuration and nothing at the program's exit: this library is a guest in its process. */
    if (!OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) ||
        !(tls->context = SSL_CTX_new(terms->server ? TLS_server_method() : TLS_client_method())) ||
        !SSL_CTX_set_min_proto_version(tls->context, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(tls->context, SUITES) || !SSL_CTX_set1_groups_list(tls->context, GROUPS) ||
        !SSL_CTX_set_num_tickets(tls->context, 0))
        return -1;
    SSL_CTX_set_options(tls->context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_clear_options(tls->context, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
    SSL_CTX_set_session_cache_mode(tls->context, SSL_SESS_CACHE_OFF);
    if (!certificates) {
        SSL_CTX_set_psk_use_session_callback(tls->context, use_key);
        SSL_CTX_set_psk_find_session_callback(tls->context, find_key);
    }
    BIO *bio = tls_bio(tls);
    tls->ssl = SSL_new(tls->context);
    if (!tls->ssl || !bio) {
        BIO_free(bio);
        return -1;
    }
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_app_data(tls->ssl, tls);
    if (terms->server)
        SSL_set_accept_state(tls->ssl);
    else
        SSL_set_connect_state(tls->ssl);
    return certificates ? use_certificates(tls, terms) : 0;
}

struct tls *tls_open(const struct tls_terms *terms, char *why, size_t why_size)
{
    struct tls *tls = calloc(1, sizeof *tls);

    if (!tls || pthread_mutex_init(&tls->lock, NULL)) {
        free(tls);
        snprintf(why, why_size, "out of memory");
        return NULL;
    }
    tls->fd = -1;
    tls->server = terms->server;
    tls->transport = terms->transport;
    memcpy(tls->key, terms->key, sizeof tls->key);
    tls->in = malloc(TLS_IN);
    tls->out = malloc(TLS_OUT);
    tls->sending = malloc(TLS_OUT);
    tls->gathered = malloc(TLS_RECORD);
    ERR_clear_error();
    if (tls->in && tls->out && tls->sending && tls->gathered && !set_up(tls, terms))
        return tls;
    snprintf(why, why_size, "TLS cannot be set up: %s", tls_reason());
    tls_close(tls);
    return NULL;
}

void tls_close(struct tls *tls)
{
    if (!tls)
        return;
    SSL_free(tls->ssl);
    SSL_CTX_free(tls->context);
    explicit_bzero(tls->key, sizeof tls->key);
    pthread_mutex_destroy(&tls->lock);
    free(tls->in);
    free(tls->out);
    free(tls->sending);
    free(tls->gathered);
    free(tls);
}

/* --- the handshake ------------------------------------------------------------------------------------------------ */

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int shake(struct tls *tls, uint64_t until, char *why, size_t why_size)
{
    for (;;) {
        ERR_clear_error();
        int status = SSL_do_handshake(tls->ssl);
        int error = status == 1 ? SSL_ERROR_NONE : SSL_get_error(tls->ssl, status);

        if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ)
            snprintf(why, why_size, "TLS: %s", tls_reason());
        if (tls_drain(tls, 0) && (error == SSL_ERROR_NONE || error == SSL_ERROR_WANT_READ)) {
            snprintf(why, why_size, "TLS: %s", strerror(errno));
            return -1;
        }
        if (error == SSL_ERROR_NONE)
            return 0;
        if (error != SSL_ERROR_WANT_READ)
            return -1;
        ssize_t got = now_ms() < until ? tls_fill(tls, 0) : -1;
        if (got <= 0) {
            snprintf(why, why_size, "TLS: the other end %s", got ? "is silent" : "closed the connection");
            return -1;
        }
    }
}

/* Both show, inside the connection, that they know the key. */
static int confirm(struct tls *tls, char *why, size_t why_size)
{
    static const char *const role[] = {"tls client", "tls server"};
    uint8_t secret[SHA256_SIZE], proof[2][SHA256_SIZE], theirs[SHA256_SIZE];
    const int us = tls->server, them = !tls->server;

    if (!SSL_export_keying_material(tls->ssl, secret, sizeof secret, EXPORTER, sizeof EXPORTER - 1, NULL, 0, 0)) {
        snprintf(why, why_size, "TLS: %s", tls_reason());
        return -1;
    }
    for (int end = 0; end < 2; end++) {
        const struct hmac_part parts[] = {{role[end], strlen(role[end])}, {secret, sizeof secret}};
        hmac_sha256(tls->key, sizeof tls->key, parts, 2, proof[end]);
    }
    const struct iovec ours = {proof[us], SHA256_SIZE}, room = {theirs, sizeof theirs};
    if (tls_send(tls, &ours, 1, 0) != (ssize_t)ours.iov_len ||
        tls_receive(tls, &room, 1, MSG_WAITALL) != (ssize_t)room.iov_len ||
        !equal_in_constant_time(theirs, proof[them], sizeof theirs)) {
        snprintf(why, why_size, "TLS: the other end does not hold this session's credential");
        return -1;
    }
    return 0;
}

int tls_handshake(struct tls *tls, int fd, unsigned seconds, char *why, size_t why_size)
{
    const struct timeval patience = {.tv_sec = (time_t)seconds};
    struct timeval before = {0};
    socklen_t size = sizeof before;

    tls->fd = fd;
    getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &before, &size);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    int result = shake(tls, now_ms() + 1000ull * seconds, why, why_size);
    if (!result && tls->transport == WIRE_TLS_CERTIFICATE)
        result = confirm(tls, why, why_size);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &before, sizeof before);
    explicit_bzero(tls->key, sizeof tls->key);
    SSL_certs_clear(tls->ssl);
    return result;
}
