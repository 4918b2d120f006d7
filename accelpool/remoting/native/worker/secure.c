/* SPDX-License-Identifier: Apache-2.0 */
/* The session's end of TLS. The agent has authenticated the client before; what it sends from here on only this process reads. */
#include <stdio.h>
#include <string.h>

#include "state.h"
#include "tls.h"

/* For the handshake, which has begun when the client got SECURE. */
#define SECURE_SECONDS 10

static int read_key(const char *text, uint8_t key[WIRE_KEY])
{
    if (!text || strlen(text) != 2 * WIRE_KEY)
        return -1;
    for (unsigned i = 0; i < WIRE_KEY; i++) {
        unsigned byte;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            return -1;
        key[i] = (uint8_t)byte;
    }
    return 0;
}

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
}

int secure_open(struct session *s, char *why, size_t why_size)
{
    const struct worker_params *params = s->params;
    struct tls_terms terms = {
        .server = 1,
        .transport = params->secure.transport,
        .authority = params->secure.authority,
        .certificate = params->secure.certificate,
        .private_key = params->secure.private_key,
    };

    if (terms.transport == WIRE_PLAIN)
        return 0;
    if (read_key(params->secure.key, terms.key))
        snprintf(why, why_size, "TLS without a key");
    else
        s->secure = tls_open(&terms, why, why_size);
    explicit_bzero(terms.key, sizeof terms.key);
    wipe(params->secure.key);
    wipe(params->secure.private_key);
    return s->secure ? 0 : -1;
}

int secure_shake(struct session *s, char *why, size_t why_size)
{
    if (!s->secure)
        return s->params->secure.transport == WIRE_PLAIN || s->stream.tls ? 0 : -1;
    s->stream.tls = s->secure;
    s->secure = NULL;
    return tls_handshake(s->stream.tls, s->stream.fd, SECURE_SECONDS, why, why_size);
}
