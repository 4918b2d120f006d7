/* SPDX-License-Identifier: Apache-2.0 */
/* The client's end of TLS, with the certificates of the operator's choice: ca.pem, client.pem and client.key in one place. */
#include "secure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dial.h"
#include "tls.h"

#define PEM_MAX (64u << 10)

/* The text of a file, to be freed; NULL with a reason. */
static char *read_pem(const char *directory, const char *name, char *why, size_t why_size)
{
    char path[4096], *text = calloc(1, PEM_MAX);
    int fd, length = snprintf(path, sizeof path, "%s/%s", directory, name);

    if (!text || length < 0 || (size_t)length >= sizeof path) {
        snprintf(why, why_size, "%s is too long a name", directory);
        free(text);
        return NULL;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, PEM_MAX - 1);
    if (got <= 0)
        snprintf(why, why_size, "the agent wants certificates, and %s: %s", path, got ? strerror(errno) : "it is empty");
    if (fd >= 0)
        close(fd);
    if (got > 0)
        return text;
    free(text);
    return NULL;
}

static int read_certificates(char *pem[3], char *why, size_t why_size)
{
    static const char *const name[3] = {"ca.pem", "client.pem", "client.key"};
    const char *directory = secure_getenv(SECURE_DIRECTORY_VARIABLE);

    for (int i = 0; i < 3; i++)
        if (!(pem[i] = read_pem(directory ? directory : SECURE_DIRECTORY, name[i], why, why_size)))
            return -1;
    return 0;
}

static void forget(char *text)
{
    if (text)
        explicit_bzero(text, PEM_MAX);
    free(text);
}

int secure_stream(struct stream *stream, const char *url, uint32_t transport, const uint8_t key[WIRE_KEY], char *why,
                  size_t why_size)
{
    struct tls_terms terms = {.transport = transport};
    char host[64] = "", *pem[3] = {NULL, NULL, NULL};
    int result = -1;

    if (transport != WIRE_TLS_PSK && transport != WIRE_TLS_CERTIFICATE) {
        snprintf(why, why_size, "the agent wants a transport that this runtime does not know");
        return -1;
    }
    if (transport == WIRE_TLS_CERTIFICATE && read_certificates(pem, why, why_size))
        goto out;
    dial_host(url, host, sizeof host);
    memcpy(terms.key, key, WIRE_KEY);
    terms.authority = pem[0];
    terms.certificate = pem[1];
    terms.private_key = pem[2];
    terms.peer = host;
    stream->tls = tls_open(&terms, why, why_size);
    explicit_bzero(terms.key, sizeof terms.key);
    if (stream->tls)
        result = tls_handshake(stream->tls, stream->fd, DIAL_SECONDS, why, why_size);
out:
    for (int i = 0; i < 3; i++)
        forget(pem[i]);
    return result;
}
