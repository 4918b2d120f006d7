/* SPDX-License-Identifier: Apache-2.0 */
#include "connect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "dial.h"
#include "secure.h"
#include "sha256.h"

/* What both ends know after CHALLENGE. */
struct agreement {
    uint8_t key[WIRE_KEY]; /* of the credential */
    uint8_t ours[WIRE_NONCE], theirs[WIRE_NONCE];
    uint32_t transport;
};

/* Claims and key of "v1:...:<64 hex digits>". Returns the length of the claims, or 0. */
static size_t take_apart(const char *credential, uint8_t key[WIRE_KEY])
{
    const char *colon = strrchr(credential, ':');

    if (!colon || strlen(colon + 1) != 2 * WIRE_KEY)
        return 0;
    for (unsigned i = 0; i < WIRE_KEY; i++) {
        unsigned byte;
        if (sscanf(colon + 1 + 2 * i, "%2x", &byte) != 1)
            return 0;
        key[i] = (uint8_t)byte;
    }
    return (size_t)(colon - credential);
}

static void prove(const struct agreement *agreed, const char *who, uint8_t proof[WIRE_KEY])
{
    const struct hmac_part parts[] = {{who, strlen(who)},
                                      {&agreed->transport, sizeof agreed->transport},
                                      {agreed->ours, WIRE_NONCE},
                                      {agreed->theirs, WIRE_NONCE}};

    hmac_sha256(agreed->key, WIRE_KEY, parts, 4, proof);
}

static int greet(struct stream *stream, const char *credential, size_t claims, const struct agreement *agreed)
{
    uint8_t hello[sizeof(struct wire_hello) + 512];
    struct wire_hello greeting = {.magic = WIRE_MAGIC, .version_min = WIRE_VERSION, .version_max = WIRE_VERSION,
                                  .kind = WIRE_KIND_SESSION, .claims_length = (uint16_t)claims};

    memcpy(greeting.nonce, agreed->ours, sizeof greeting.nonce);
    memcpy(hello, &greeting, sizeof greeting);
    memcpy(hello + sizeof greeting, credential, claims);
    return frame_put(stream, WIRE_HELLO, hello, (uint32_t)(sizeof greeting + claims));
}

static int authenticate(struct stream *stream, const char *credential, struct agreement *agreed, char *why,
                        size_t why_size)
{
    uint8_t expected[WIRE_KEY];
    struct wire_challenge challenge;
    struct wire_proof proof;
    size_t claims = take_apart(credential, agreed->key);

    if (!claims || claims > 512) {
        snprintf(why, why_size, "the attachment's credential is malformed");
        return -1;
    }
    if (getrandom(agreed->ours, sizeof agreed->ours, 0) != (ssize_t)sizeof agreed->ours) {
        snprintf(why, why_size, "no random numbers: %s", strerror(errno));
        return -1;
    }
    if (greet(stream, credential, claims, agreed)) {
        snprintf(why, why_size, "the agent closed the connection");
        return -1;
    }
    ssize_t got = frame_get(stream, WIRE_CHALLENGE, &challenge, sizeof challenge, why, why_size);
    if (got < 0)
        return -1;
    memcpy(agreed->theirs, challenge.nonce, sizeof agreed->theirs);
    agreed->transport = challenge.transport;
    prove(agreed, "agent", expected);
    if (got != (ssize_t)sizeof challenge || !equal_in_constant_time(expected, challenge.proof, WIRE_KEY)) {
        snprintf(why, why_size, "the agent could not prove that it is the right one");
        return -1;
    }
    prove(agreed, "client", proof.proof);
    if (!frame_put(stream, WIRE_PROOF, &proof, sizeof proof))
        return 0;
    snprintf(why, why_size, "the agent closed the connection");
    return -1;
}

static int make_secure(struct stream *stream, const char *url, const struct agreement *agreed, char *why,
                       size_t why_size)
{
    const struct hmac_part parts[] = {
        {"tls", 3}, {agreed->ours, WIRE_NONCE}, {agreed->theirs, WIRE_NONCE}};
    uint8_t key[WIRE_KEY];

    if (agreed->transport == WIRE_PLAIN && dial_is_local(url))
        return 0;
    if (agreed->transport == WIRE_PLAIN) {
        snprintf(why, why_size, "%s: the agent offers no TLS, and without it a session goes to 127.0.0.0/8 only", url);
        return -1;
    }
    if (frame_get(stream, WIRE_SECURE, NULL, 0, why, why_size) < 0)
        return -1;
    hmac_sha256(agreed->key, WIRE_KEY, parts, 3, key);
    int result = secure_stream(stream, url, agreed->transport, key, why, why_size);
    explicit_bzero(key, sizeof key);
    return result;
}

static int welcomed(struct stream *stream, struct wire_welcome *welcome, struct wire_snapshot *snapshot, char *why,
                    size_t why_size)
{
    struct {
        struct wire_welcome welcome;
        struct wire_snapshot snapshot;
    } WIRE_PACKED answer;
    ssize_t got = frame_get(stream, WIRE_WELCOME, &answer, sizeof answer, why, why_size);

    if (got < 0)
        return -1;
    if (got != (ssize_t)sizeof answer || answer.welcome.version != WIRE_VERSION ||
        answer.welcome.snapshot_length != sizeof answer.snapshot || !answer.welcome.granule ||
        (answer.welcome.granule & (answer.welcome.granule - 1)) || !answer.welcome.window_bytes) {
        snprintf(why, why_size, "the worker speaks another version of the protocol");
        return -1;
    }
    *welcome = answer.welcome;
    *snapshot = answer.snapshot;
    snapshot->name[sizeof snapshot->name - 1] = 0;
    snapshot->pci_bus_id[sizeof snapshot->pci_bus_id - 1] = 0;
    return 0;
}

int connect_session(const struct attachment_device *device, struct stream *stream, struct wire_welcome *welcome,
                    struct wire_snapshot *snapshot, char *why, size_t why_size)
{
    for (unsigned i = 0; i < device->way_count; i++) {
        const struct attachment_way *way = &device->ways[i];
        struct agreement agreed;

        *stream = (struct stream){.fd = dial(way, why, why_size)};
        if (stream->fd < 0)
            continue;
        int failed = authenticate(stream, device->credential, &agreed, why, why_size) ||
                     make_secure(stream, way->url, &agreed, why, why_size) ||
                     welcomed(stream, welcome, snapshot, why, why_size);
        explicit_bzero(&agreed, sizeof agreed);
        if (!failed) {
            dial_done(stream->fd);
            return 0;
        }
        stream_close(stream);
        close(stream->fd);
    }
    return -1;
}
