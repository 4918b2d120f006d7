/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams inside TLS: both directions at once with threads at both ends, parts of every size, calls that do not wait, changes of
 * the key; and the handshakes that must fail.
 * stream_test psk | stream_test certificates CA SERVER SERVER-KEY CLIENT CLIENT-KEY STRANGER STRANGER-KEY
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream.h"
#include "tls.h"

#define EXPECT(condition)                                                   \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                        \
        }                                                                   \
    } while (0)

enum { TOTAL = 12 << 20, LARGEST = 300000 };

static uint32_t next(uint32_t *random)
{
    return *random = *random * 1664525u + 1013904223u;
}

static uint8_t byte_at(size_t position, int end)
{
    return (uint8_t)(position * 31 + position / 997 + (unsigned)end * 7);
}

struct end {
    struct stream stream;
    struct tls_terms terms;
    int number, status;
    char why[256];
};

static void *shake_hands(void *opaque)
{
    struct end *end = opaque;

    end->stream.tls = tls_open(&end->terms, end->why, sizeof end->why);
    EXPECT(end->stream.tls);
    end->status = tls_handshake(end->stream.tls, end->stream.fd, 5, end->why, sizeof end->why);
    if (end->status)
        shutdown(end->stream.fd, SHUT_RDWR);
    return NULL;
}

static void connect_ends(struct end *client, struct end *server)
{
    int pair[2];
    pthread_t thread;

    EXPECT(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    client->stream = (struct stream){.fd = pair[0]};
    server->stream = (struct stream){.fd = pair[1]};
    client->number = 0;
    server->number = 1;
    server->terms.server = 1;
    EXPECT(!pthread_create(&thread, NULL, shake_hands, server));
    shake_hands(client);
    pthread_join(thread, NULL);
}

static void disconnect(struct end *client, struct end *server)
{
    stream_close(&client->stream);
    stream_close(&server->stream);
    close(client->stream.fd);
    close(server->stream.fd);
}

/* Everything in parts of odd sizes; every third call does not wait. */
static void *send_all(void *opaque)
{
    struct end *end = opaque;
    uint32_t random = 1 + (uint32_t)end->number;
    uint8_t *data = malloc(LARGEST);

    for (size_t done = 0; done < TOTAL;) {
        size_t size = next(&random) % 3 ? next(&random) % 5000 : next(&random) % LARGEST;
        if (size > TOTAL - done)
            size = TOTAL - done;
        for (size_t i = 0; i < size; i++)
            data[i] = byte_at(done + i, end->number);
        const size_t first = size / 3, second = size ? next(&random) % (size - first + 1) : 0;
        const struct iovec parts[4] = {
            {data, first}, {data + first, second}, {NULL, 0}, {data + first + second, size - first - second}};
        const int flags = next(&random) % 3 ? 0 : MSG_DONTWAIT;
        ssize_t sent = stream_send(&end->stream, parts, 4, flags);
        if (sent < 0) {
            EXPECT(errno == EAGAIN && flags);
            struct pollfd room = {.fd = end->stream.fd, .events = POLLOUT};
            poll(&room, 1, -1);
            continue;
        }
        EXPECT(flags || ((size_t)sent == size && !stream_unsent(&end->stream)));
        done += (size_t)sent;
    }
    EXPECT(stream_send(&end->stream, NULL, 0, 0) == 0 && !stream_unsent(&end->stream));
    free(data);
    return NULL;
}

static void *receive_all(void *opaque)
{
    struct end *end = opaque;
    uint32_t random = 11 + (uint32_t)end->number;
    uint8_t *data = malloc(LARGEST);

    for (size_t done = 0; done < TOTAL;) {
        size_t size = next(&random) % LARGEST + 1;
        if (size > TOTAL - done)
            size = TOTAL - done;
        const struct iovec parts[2] = {{data, size / 2}, {data + size / 2, size - size / 2}};
        const int flags = next(&random) % 3 == 0 ? MSG_DONTWAIT : next(&random) % 2 ? MSG_WAITALL : 0;
        ssize_t got = stream_receive(&end->stream, parts, 2, flags);
        if (got < 0) {
            EXPECT(errno == EAGAIN && flags == MSG_DONTWAIT);
            struct pollfd more = {.fd = end->stream.fd, .events = POLLIN};
            poll(&more, 1, -1);
            continue;
        }
        EXPECT(got > 0 && (flags != MSG_WAITALL || (size_t)got == size));
        for (size_t i = 0; i < (size_t)got; i++)
            EXPECT(data[i] == byte_at(done + i, !end->number));
        done += (size_t)got;
    }
    free(data);
    return NULL;
}

static void exchange(struct end *client, struct end *server)
{
    struct end *ends[2] = {client, server};
    pthread_t threads[4];

    for (int i = 0; i < 2; i++) {
        EXPECT(!pthread_create(&threads[2 * i], NULL, send_all, ends[i]));
        EXPECT(!pthread_create(&threads[2 * i + 1], NULL, receive_all, ends[i]));
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    EXPECT(!stream_holds(&client->stream) && !stream_holds(&server->stream));
}

static void expect_good(struct end *client, struct end *server)
{
    connect_ends(client, server);
    if (client->status || server->status)
        fprintf(stderr, "client: %s; server: %s\n", client->why, server->why);
    EXPECT(!client->status && !server->status);
    exchange(client, server);
    disconnect(client, server);
}

static void expect_refused(struct end *client, struct end *server)
{
    connect_ends(client, server);
    /* A client may think that it is done before the server has looked at its last message. */
    EXPECT(server->status);
    if (!client->status) {
        const struct iovec part = {client->why, 1};
        EXPECT(stream_receive(&client->stream, &part, 1, 0) <= 0);
    }
    disconnect(client, server);
}

static void test_keys(void)
{
    struct end client = {.terms = {.transport = WIRE_TLS_PSK, .key = {1, 2, 3}}}, server = client;

    expect_good(&client, &server);
    server.terms.key[31] ^= 1;
    expect_refused(&client, &server);
}

static const char *text_of(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 16384);

    EXPECT(file && text && fread(text, 1, 16383, file) > 0);
    fclose(file);
    return text;
}

static void test_certificates(char **files)
{
    const char *pem[7];
    struct end client = {.terms = {.transport = WIRE_TLS_CERTIFICATE, .key = {1, 2, 3}, .peer = "127.0.0.1"}};

    for (int i = 0; i < 7; i++)
        pem[i] = text_of(files[i]);
    client.terms.authority = pem[0];
    struct end server = client;
    server.terms.certificate = pem[1];
    server.terms.private_key = pem[2];
    client.terms.certificate = pem[3];
    client.terms.private_key = pem[4];
    expect_good(&client, &server);

    client.terms.peer = "127.0.0.2"; /* not the one that the certificate names */
    expect_refused(&client, &server);
    client.terms.peer = "127.0.0.1";
    client.terms.key[0] ^= 1; /* a good certificate, and another session's credential */
    expect_refused(&client, &server);
    client.terms.key[0] ^= 1;
    client.terms.certificate = pem[5]; /* of an authority that nobody knows */
    client.terms.private_key = pem[6];
    expect_refused(&client, &server);
    client.terms.transport = WIRE_TLS_PSK;
    expect_refused(&client, &server);
    for (int i = 0; i < 7; i++)
        free((void *)pem[i]);
}

int main(int argc, char **argv)
{
    EXPECT(argc == 2 || argc == 9);
    if (argc == 2)
        test_keys();
    else
        test_certificates(argv + 2);
    return 0;
}
