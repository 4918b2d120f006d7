/* SPDX-License-Identifier: Apache-2.0 */
#include "connect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "sha256.h"

/* The worker is started and opens its vendor library before WELCOME comes. */
#define WELCOME_SECONDS 30
/* A peer that is silent on a broken network is given up after this. */
#define NETWORK_MILLISECONDS 20000u

static int dial(int family, const struct sockaddr *address, socklen_t size)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = WELCOME_SECONDS};

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (!connect(fd, address, size))
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int dial_unix(const char *path, char *why, size_t why_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof address.sun_path) {
        snprintf(why, why_size, "the path %s is too long", path);
        return -1;
    }
    strcpy(address.sun_path, path);
    int fd = dial(AF_UNIX, (struct sockaddr *)&address, sizeof address);
    if (fd < 0)
        snprintf(why, why_size, "%s: %s", path, strerror(errno));
    return fd;
}

static int dial_tcp(const char *where, char *why, size_t why_size)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64];
    const char *colon = strrchr(where, ':');
    long port = colon ? strtol(colon + 1, NULL, 10) : 0;

    if (!colon || (size_t)(colon - where) >= sizeof host || port < 1 || port > 65535) {
        snprintf(why, why_size, "tcp://%s is not host:port", where);
        return -1;
    }
    memcpy(host, where, (size_t)(colon - where));
    host[colon - where] = 0;
    address.sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1 || ntohl(address.sin_addr.s_addr) >> 24 != 127) {
        snprintf(why, why_size, "tcp://%s: without TLS a session goes to 127.0.0.0/8 only", where);
        return -1;
    }
    int fd = dial(AF_INET, (struct sockaddr *)&address, sizeof address);
    if (fd < 0) {
        snprintf(why, why_size, "tcp://%s: %s", where, strerror(errno));
        return -1;
    }
    int one = 1;
    unsigned limit = NETWORK_MILLISECONDS;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
    return fd;
}

static int dial_url(const char *url, char *why, size_t why_size)
{
    if (!strncmp(url, "unix://", 7))
        return dial_unix(url + 7, why, why_size);
    if (!strncmp(url, "tcp://", 6))
        return dial_tcp(url + 6, why, why_size);
    snprintf(why, why_size, "%s: this runtime speaks unix:// and tcp:// only", url);
    return -1;
}

static int put(int fd, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t sent = send(fd, (const char *)data + done, size - done, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return -1;
        done += (size_t)sent;
    }
    return 0;
}

static int get(int fd, void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = recv(fd, (char *)data + done, size - done, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        done += (size_t)got;
    }
    return 0;
}

static int put_frame(int fd, uint16_t opcode, const void *payload, uint32_t length)
{
    char frame[WIRE_HANDSHAKE_MAX];
    struct wire_header header = {.length = length, .opcode = opcode};

    if (sizeof header + length > sizeof frame)
        return -1;
    memcpy(frame, &header, sizeof header);
    memcpy(frame + sizeof header, payload, length);
    return put(fd, frame, sizeof header + length);
}

/* Reads a frame of `wanted` with at most `size` bytes of payload. Returns its length, or -1 with a reason. */
static ssize_t get_frame(int fd, uint16_t wanted, void *payload, size_t size, char *why, size_t why_size)
{
    struct wire_header header;

    if (get(fd, &header, sizeof header)) {
        snprintf(why, why_size, "the agent closed the connection or does not answer");
        return -1;
    }
    if (header.opcode == WIRE_REFUSED) {
        char text[1024] = "";
        size_t length = header.length < sizeof text ? header.length : sizeof text - 1;
        if (!get(fd, text, length) && length > sizeof(struct wire_refused))
            snprintf(why, why_size, "the agent refuses: %.*s", (int)(length - sizeof(struct wire_refused)),
                     text + sizeof(struct wire_refused));
        else
            snprintf(why, why_size, "the agent refuses");
        return -1;
    }
    if (header.opcode != wanted || header.length > size || get(fd, payload, header.length)) {
        snprintf(why, why_size, "the agent speaks another protocol (frame %u of %u bytes)", header.opcode, header.length);
        return -1;
    }
    return (ssize_t)header.length;
}

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

static void prove(const uint8_t key[WIRE_KEY], const char *who, const uint8_t *ours, const uint8_t *theirs,
                  uint8_t proof[WIRE_KEY])
{
    struct hmac_part parts[] = {{who, strlen(who)}, {ours, WIRE_NONCE}, {theirs, WIRE_NONCE}};

    hmac_sha256(key, WIRE_KEY, parts, 3, proof);
}

static int authenticate(int fd, const char *credential, char *why, size_t why_size)
{
    uint8_t key[WIRE_KEY], expected[WIRE_KEY];
    uint8_t hello[sizeof(struct wire_hello) + 512];
    struct wire_hello greeting = {.magic = WIRE_MAGIC, .version_min = WIRE_VERSION, .version_max = WIRE_VERSION,
                                  .kind = WIRE_KIND_SESSION};
    struct wire_challenge challenge;
    struct wire_proof proof;
    size_t claims = take_apart(credential, key);
    int result = -1;

    if (!claims || claims > 512) {
        snprintf(why, why_size, "the attachment's credential is malformed");
        return -1;
    }
    greeting.claims_length = (uint16_t)claims;
    if (getrandom(greeting.nonce, sizeof greeting.nonce, 0) != (ssize_t)sizeof greeting.nonce) {
        snprintf(why, why_size, "no random numbers: %s", strerror(errno));
        goto out;
    }
    memcpy(hello, &greeting, sizeof greeting);
    memcpy(hello + sizeof greeting, credential, claims);
    if (put_frame(fd, WIRE_HELLO, hello, (uint32_t)(sizeof greeting + claims))) {
        snprintf(why, why_size, "the agent closed the connection");
        goto out;
    }
    ssize_t got = get_frame(fd, WIRE_CHALLENGE, &challenge, sizeof challenge, why, why_size);
    if (got < 0)
        goto out;
    prove(key, "agent", greeting.nonce, challenge.nonce, expected);
    if (got != (ssize_t)sizeof challenge || !equal_in_constant_time(expected, challenge.proof, WIRE_KEY)) {
        snprintf(why, why_size, "the agent could not prove that it is the right one");
        goto out;
    }
    prove(key, "client", greeting.nonce, challenge.nonce, proof.proof);
    result = put_frame(fd, WIRE_PROOF, &proof, sizeof proof);
    if (result)
        snprintf(why, why_size, "the agent closed the connection");
out:
    explicit_bzero(key, sizeof key);
    return result;
}

static int welcomed(int fd, struct wire_welcome *welcome, struct wire_snapshot *snapshot, char *why, size_t why_size)
{
    struct {
        struct wire_welcome welcome;
        struct wire_snapshot snapshot;
    } WIRE_PACKED answer;
    ssize_t got = get_frame(fd, WIRE_WELCOME, &answer, sizeof answer, why, why_size);

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

int connect_session(const struct attachment_device *device, struct wire_welcome *welcome,
                    struct wire_snapshot *snapshot, char *why, size_t why_size)
{
    struct timeval never = {0};

    for (unsigned i = 0; i < device->url_count; i++) {
        int fd = dial_url(device->urls[i], why, why_size);
        if (fd < 0)
            continue;
        if (!authenticate(fd, device->credential, why, why_size) && !welcomed(fd, welcome, snapshot, why, why_size)) {
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &never, sizeof never);
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &never, sizeof never);
            return fd;
        }
        close(fd);
    }
    return -1;
}
