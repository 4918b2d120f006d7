/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target: the input is what an authenticated client sends. The worker runs as it is, except that sequence numbers
 * are repaired (otherwise almost every input would end at the second frame), the vendor library is one of the stubs and the
 * agent grants what is asked. WORKER_STUB and WORKER_INTERFACE say which.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "state.h"

#define MIB ((uint64_t)1 << 20)
#define KEY 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int sandbox_enter(int device_nodes)
{
    (void)device_nodes;
    return 0;
}

/* The last thing that was shared, under the one key there is: zeros, as a seed has it; any other key is nobody's. */
struct shared {
    struct control_packet packet;
    uint8_t blob[CONTROL_BLOB_MAX];
    size_t length;
};

static const uint8_t key[KEY];

static void answer_sharing(int fd, struct shared *shared, struct control_packet packet, const uint8_t *blob, size_t length)
{
    struct control_packet answer = {.type = packet.type, .id = packet.id, .a = 1};
    const int known = length >= KEY && !memcmp(blob, key, KEY);

    if (packet.type == CONTROL_EXPORT) {
        shared->packet = packet;
        shared->length = length;
        memcpy(shared->blob, blob, length);
        control_send(fd, &answer, key, KEY, NULL, 0);
    } else if (packet.type == CONTROL_IMPORT) {
        answer.a = known ? shared->packet.a : 0;
        answer.b = shared->packet.b;
        control_send(fd, &answer, shared->blob, known ? shared->length : 0, NULL, 0);
    } else {
        answer.a = (uint64_t)known;
        control_send(fd, &answer, NULL, 0, NULL, 0);
    }
}

static void *agent_side(void *opaque)
{
    const int fd = *(int *)opaque;
    static uint8_t blob[CONTROL_BLOB_MAX];
    static struct shared shared;
    struct control_packet packet;
    int passed;
    unsigned count = 1;
    ssize_t length;

    shared.length = 0;
    while ((length = control_receive(fd, &packet, blob, &passed, &count, 0)) >= 0) {
        struct control_packet answer = {.type = packet.type, .id = packet.id};

        if (count)
            close(passed);
        count = 1;
        if (packet.type >= CONTROL_EXPORT && packet.type <= CONTROL_IMPORT) {
            answer_sharing(fd, &shared, packet, blob, (size_t)length);
            continue;
        }
        if (packet.type == CONTROL_RESERVE)
            answer.a = packet.a + packet.b < packet.a ? packet.a : packet.a + packet.b;
        else if (packet.type == CONTROL_WANT)
            answer = (struct control_packet){.type = CONTROL_GRANT, .a = UINT64_C(1) << 60};
        else if (packet.type != CONTROL_MEMINFO && packet.type != CONTROL_TRANSLATE && packet.type != CONTROL_CONTENT_FIND &&
                 packet.type != CONTROL_TOUCH)
            continue;
        control_send(fd, &answer, NULL, 0, NULL, 0);
    }
    return NULL;
}

/* Swallows the worker's frames, so that it never waits for a reader. */
static void *client_side(void *opaque)
{
    static uint8_t bytes[1 << 16];
    ssize_t got;

    while ((got = recv(*(int *)opaque, bytes, sizeof bytes, 0)) > 0 || (got < 0 && errno == EINTR))
        ;
    return NULL;
}

struct input {
    int fd;
    const uint8_t *data;
    size_t size;
};

static int send_all(int fd, const void *data, size_t size)
{
    for (const uint8_t *at = data; size;) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);

        if (sent <= 0)
            return -1;
        at += sent;
        size -= (size_t)sent;
    }
    return 0;
}

/* Frames of the input with sequence numbers as they should be; the last may be cut short. */
static void *input_side(void *opaque)
{
    const struct input *input = opaque;
    const struct wire_range range = {.base = UINT64_C(0x200000000000), .size = memory_range_size(512 * MIB)};
    struct wire_header header = {.length = sizeof range, .opcode = WIRE_RANGE, .flags = WIRE_WANT_REPLY, .sequence = 1};
    uint64_t sequence = 1;
    size_t at = 0;

    if (send_all(input->fd, &header, sizeof header) || send_all(input->fd, &range, sizeof range))
        return NULL;
    while (input->size - at >= 8) {
        size_t length;

        memset(&header, 0, sizeof header);
        memcpy(&header, input->data + at, 8); /* length, opcode, flags */
        at += 8;
        header.sequence = ++sequence;
        length = header.length < input->size - at ? header.length : input->size - at;
        if (send_all(input->fd, &header, sizeof header) || send_all(input->fd, input->data + at, length))
            return NULL;
        at += length;
    }
    shutdown(input->fd, SHUT_WR);
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct worker_params params = {.memory_limit = 512 * MIB, .window_bytes = 4 * MIB,
                                          .slice = "fuzz"};
    static struct session session;
    int client[2], control[2];
    pthread_t agent, reader, writer;
    void (*stub_mode)(unsigned);

    snprintf(params.interface, sizeof params.interface, "%s", getenv("WORKER_INTERFACE"));
    snprintf(params.library, sizeof params.library, "%s", getenv("WORKER_STUB"));
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, client) || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, control))
        abort();
    struct input input = {.fd = client[0], .data = data, .size = size};
    if (pthread_create(&agent, NULL, agent_side, &control[0]) || pthread_create(&reader, NULL, client_side, &client[0]) ||
        pthread_create(&writer, NULL, input_side, &input))
        abort();
    if (session_open(&session, &params, client[1], control[1]))
        abort();
    session_run(&session);
    *(void **)&stub_mode = dlsym(vendor.library, "stub_mode");
    stub_mode(0); /* idle, so that everything is freed and a leak is one */
    session_close(&session);
    shutdown(client[0], SHUT_RDWR);
    shutdown(control[0], SHUT_RDWR);
    pthread_join(writer, NULL);
    pthread_join(reader, NULL);
    pthread_join(agent, NULL);
    for (int i = 0; i < 2; i++) {
        close(client[i]);
        close(control[i]);
    }
    return 0;
}
