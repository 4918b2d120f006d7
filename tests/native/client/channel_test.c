/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's channel with many callers, against a worker that is played by a thread here: nothing is lost, reordered,
 * mixed up or sent beyond the window, errors come through, and the end of the connection ends every wait.
 * channel_test SEED [tls]
 */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel.h"
#include "tls.h"

#define EXPECT(condition)                                                   \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                        \
        }                                                                   \
    } while (0)

enum { ECHO = 64, COUNT = 65, LARGE = 66, FAIL = 67, HANG = 68 };
enum { CALLERS = 4, TURNS = 400, WINDOW = 300000 };

/* --- the worker --------------------------------------------------------------------------------------------------- */

static struct {
    struct stream stream;
    uint64_t sequence, unacknowledged;
    uint32_t counted[CALLERS];
    int sticky;
    uint32_t random;
    pthread_mutex_t lock; /* of the sending side */
} worker = {.lock = PTHREAD_MUTEX_INITIALIZER};

static atomic_int recalls;

static void put(const void *data, size_t length)
{
    for (size_t done = 0; done < length;) {
        const struct iovec part = {(char *)(uintptr_t)data + done, length - done};
        ssize_t sent = stream_send(&worker.stream, &part, 1, 0);

        if (sent <= 0)
            return;
        done += (size_t)sent;
    }
}

static void frame(uint16_t opcode, uint16_t flags, uint64_t sequence, const void *payload, size_t length)
{
    struct wire_header header = {(uint32_t)length, opcode, flags, sequence};

    put(&header, sizeof header);
    put(payload, length);
}

static int take_sticky(void)
{
    int sticky = worker.sticky;

    worker.sticky = 0;
    return sticky;
}

static void acknowledge(void)
{
    struct wire_ack ack = {.done_seq = worker.sequence, .sticky = take_sticky()};

    worker.unacknowledged = 0;
    frame(WIRE_ACK, 0, 0, &ack, sizeof ack);
}

static int get(void *data, size_t length)
{
    for (size_t done = 0; done < length;) {
        struct pollfd ready = {worker.stream.fd, POLLIN, 0};

        if (worker.unacknowledged && poll(&ready, 1, 0) == 0)
            acknowledge(); /* as the real one: before it sleeps */
        const struct iovec part = {(char *)data + done, length - done};
        ssize_t got = stream_receive(&worker.stream, &part, 1, 0);
        if (got <= 0)
            return -1;
        done += (size_t)got;
    }
    return 0;
}

/* `wanted` bytes of a pattern in frames of random sizes, with a notice in between. */
static void answer_large(const struct wire_header *header, uint32_t wanted)
{
    static char bytes[sizeof(struct wire_reply) + 50000];
    uint32_t done = 0;

    do {
        uint32_t part = (worker.random = worker.random * 1664525u + 1013904223u) % 50000;

        part = part < wanted - done ? part : wanted - done;
        for (uint32_t i = 0; i < part; i++)
            bytes[sizeof(struct wire_reply) + i] = (char)((done + i) * 7);
        done += part;
        frame(header->opcode, (uint16_t)(WIRE_REPLY | (done < wanted ? WIRE_MORE : 0)), header->sequence, bytes,
              sizeof(struct wire_reply) + part);
        frame(WIRE_RECALL, 0, 0, &(struct wire_recall){part, 1}, sizeof(struct wire_recall));
        frame(WIRE_OUTPUT, 0, 0, "\n", part % 2); /* an empty one, too */
    } while (done < wanted);
}

static int read_bulk(uint64_t length)
{
    static unsigned char bytes[WIRE_CHUNK_MAX];

    for (uint64_t done = 0; done < length;) {
        struct wire_header header;

        if (get(&header, sizeof header))
            return -1;
        EXPECT(header.opcode == WIRE_DATA && header.sequence == worker.sequence + 1 && header.length <= sizeof bytes);
        if (get(bytes, header.length))
            return -1;
        worker.sequence++;
        worker.unacknowledged += sizeof header + header.length;
        for (uint32_t i = 0; i < header.length; i++)
            EXPECT(bytes[i] == (unsigned char)((done + i) * 3));
        done += header.length;
    }
    return 0;
}

static void *play_worker(void *unused)
{
    static uint8_t payload[1 << 20];
    struct wire_header header;

    (void)unused;
    while (!get(&header, sizeof header)) {
        uint32_t words[2];

        EXPECT(header.sequence == worker.sequence + 1 && header.length <= sizeof payload);
        if (get(payload, header.length))
            break;
        worker.sequence++;
        worker.unacknowledged += sizeof header + header.length;
        EXPECT(worker.unacknowledged <= WINDOW + sizeof payload);
        memcpy(words, payload, sizeof words);
        if (header.opcode == ECHO) {
            struct wire_reply reply = {0, take_sticky()};

            memcpy(payload, &reply, sizeof reply);
            frame(ECHO, WIRE_REPLY, header.sequence, payload, header.length);
        } else if (header.opcode == COUNT) {
            EXPECT(words[1] == worker.counted[words[0]]++);
        } else if (header.opcode == LARGE) {
            answer_large(&header, words[0]);
        } else if (header.opcode == FAIL) {
            worker.sticky = (int)words[0];
        } else if (header.opcode == WIRE_COPY_IN) {
            if (read_bulk(((struct wire_copy_in *)payload)->bytes))
                break;
        } else if (header.opcode == HANG) {
            shutdown(worker.stream.fd, SHUT_RDWR);
        } else {
            EXPECT(header.opcode == WIRE_BYE);
        }
    }
    return NULL;
}

/* --- the callers -------------------------------------------------------------------------------------------------- */

static struct channel *channel;

static int echo(uint32_t value)
{
    struct {
        struct wire_reply reply;
        uint32_t value, more[30];
    } call = {{0, 0}, value, {0}}, answer = {0};
    struct iovec part = {&call, sizeof call};
    struct channel_reply reply = {.head = &answer, .head_size = sizeof answer};
    int error = channel_call(channel, ECHO, &part, 1, &reply);

    EXPECT(error || answer.value == value);
    return error;
}

static void large(uint32_t bytes)
{
    struct iovec part = {(uint32_t[2]){bytes}, 8};
    struct wire_reply head;
    unsigned char *body = malloc(bytes + 1u);
    struct channel_reply reply = {.head = &head, .head_size = sizeof head, .body = body, .body_size = bytes};

    EXPECT(channel_call(channel, LARGE, &part, 1, &reply) == 0 && reply.body_received == bytes);
    for (uint32_t i = 0; i < bytes; i++)
        EXPECT(body[i] == (unsigned char)(i * 7));
    free(body);
}

static void bulk(uint32_t bytes)
{
    struct wire_copy_in call = {.bytes = bytes};
    struct iovec part = {&call, sizeof call};
    unsigned char *data = malloc(bytes + 1u);

    for (uint32_t i = 0; i < bytes; i++)
        data[i] = (unsigned char)(i * 3);
    EXPECT(channel_send_bulk(channel, WIRE_COPY_IN, &part, 1, data, bytes) == 0);
    memset(data, 0, bytes); /* ours again */
    free(data);
}

static void *call_much(void *number)
{
    uint32_t me = (uint32_t)(uintptr_t)number, random = me + 1;
    uint32_t count = 0;

    for (int turn = 0; turn < TURNS; turn++) {
        random = random * 1664525u + 1013904223u;
        for (uint32_t i = 0; i < random >> 24; i++) {
            struct iovec part = {(uint32_t[2]){me, count++}, 8};

            EXPECT(channel_send(channel, COUNT, &part, 1) == 0);
        }
        if (random >> 8 & 1)
            EXPECT(echo(random) == 0);
        if ((random >> 9 & 31) == 0)
            large(random >> 12 & 0x3ffff);
        if ((random >> 9 & 31) == 1)
            bulk(random >> 11 & 0x1fffff);
    }
    EXPECT(echo(me) == 0);
    EXPECT(worker.counted[me] == count);
    return NULL;
}

static void *call_until_lost(void *unused)
{
    (void)unused;
    while (echo(1) != CHANNEL_LOST)
        ;
    return NULL;
}

static void recalled(void *opaque, uint64_t number)
{
    (void)opaque;
    EXPECT(number == 1);
    atomic_fetch_add(&recalls, 1);
}

static void test_errors(void)
{
    struct iovec later = {(uint32_t[2]){7}, 8}, final = {(uint32_t[2]){700}, 8};

    EXPECT(channel_send(channel, FAIL, &later, 1) == 0);
    int first = echo(1), second = echo(1);
    EXPECT((first == 7) + (second == 7) == 1); /* one of them, and once: an acknowledgement may have carried it */
    EXPECT(echo(2) == 0 && !channel_broken(channel));
    EXPECT(channel_send(channel, FAIL, &final, 1) == 0);
    for (int i = 0; !channel_broken(channel) && i < 3; i++)
        echo(3);
    EXPECT(channel_broken(channel) == 700 && echo(4) == 700 && channel_error(channel) == 700);
    EXPECT(channel_send(channel, COUNT, &later, 1) == 700);
}

static void *shake_hands(void *opaque)
{
    char why[256];

    EXPECT(!tls_handshake(worker.stream.tls, worker.stream.fd, 5, why, sizeof why));
    return opaque;
}

static void secure(struct stream *client)
{
    struct tls_terms terms = {.transport = WIRE_TLS_PSK, .key = {9}};
    char why[256];
    pthread_t thread;

    client->tls = tls_open(&terms, why, sizeof why);
    terms.server = 1;
    worker.stream.tls = tls_open(&terms, why, sizeof why);
    EXPECT(client->tls && worker.stream.tls && !pthread_create(&thread, NULL, shake_hands, NULL));
    EXPECT(!tls_handshake(client->tls, client->fd, 5, why, sizeof why));
    pthread_join(thread, NULL);
}

static void close_worker(pthread_t thread)
{
    pthread_join(thread, NULL);
    stream_close(&worker.stream);
    close(worker.stream.fd);
}

static void open_channel(pthread_t *thread, int inside_tls)
{
    int pair[2];

    EXPECT(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    memset(worker.counted, 0, sizeof worker.counted);
    worker.stream = (struct stream){.fd = pair[1]};
    struct stream client = {.fd = pair[0]};
    if (inside_tls)
        secure(&client);
    worker.sequence = worker.unacknowledged = 0;
    EXPECT(!pthread_create(thread, NULL, play_worker, NULL));
    channel = channel_open(&client, WINDOW);
    EXPECT(channel);
    channel_on_recall(channel, recalled, NULL);
}

int main(int argc, char **argv)
{
    pthread_t worker_thread, callers[CALLERS];

    worker.random = argc > 1 ? (uint32_t)atoi(argv[1]) : 1;
    open_channel(&worker_thread, argc > 2);
    for (uintptr_t i = 0; i < CALLERS; i++)
        EXPECT(!pthread_create(&callers[i], NULL, call_much, (void *)i));
    for (int i = 0; i < CALLERS; i++)
        pthread_join(callers[i], NULL);
    EXPECT(atomic_load(&recalls) > 0);
    test_errors();
    channel_close(channel);
    close_worker(worker_thread);

    open_channel(&worker_thread, argc > 2);
    for (int i = 0; i < CALLERS; i++)
        EXPECT(!pthread_create(&callers[i], NULL, call_until_lost, NULL));
    channel_send(channel, HANG, NULL, 0);
    for (int i = 0; i < CALLERS; i++)
        pthread_join(callers[i], NULL);
    EXPECT(channel_send(channel, COUNT, NULL, 0) == CHANNEL_LOST && channel_error(channel) == CHANNEL_LOST);
    channel_close(channel);
    close_worker(worker_thread);
    return 0;
}
