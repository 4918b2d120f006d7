/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory and events of one process's emulated Ascend device in another's: the same bytes on both sides, whatever is mapped,
 * given back or killed meanwhile. A file descriptor and numbers are all that goes between them.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "acl_abi.h"
#include "backend.h"

#define GRANULE (2u << 20)
#define COUNT 8u
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: [%d] %s\n", __FILE__, __LINE__, (int)getpid(), #condition);                        \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

aclError aclInit(const char *configuration);
aclError aclrtSetDevice(int32_t device);
aclError aclrtReserveMemAddress(void **address, size_t bytes, size_t alignment, void *at, uint64_t flags);
aclError aclrtMallocPhysical(aclrtDrvMemHandle *handle, size_t bytes, const aclrtPhysicalMemProp *properties, uint64_t flags);
aclError aclrtFreePhysical(aclrtDrvMemHandle handle);
aclError aclrtMapMem(void *address, size_t bytes, size_t offset, aclrtDrvMemHandle handle, uint64_t flags);
aclError aclrtUnmapMem(void *address);
aclError aclrtMemcpy(void *to, size_t room, const void *from, size_t bytes, aclrtMemcpyKind kind);
aclError aclrtMemExportToShareableHandle(aclrtDrvMemHandle handle, int type, uint64_t flags, uint64_t *number);
aclError aclrtMemImportFromShareableHandle(uint64_t number, int32_t device, aclrtDrvMemHandle *handle);
aclError aclrtCreateEventExWithFlag(aclrtEvent *event, uint32_t flags);
aclError aclrtDestroyEvent(aclrtEvent event);
aclError aclrtRecordEvent(aclrtEvent event, aclrtStream stream);
aclError aclrtSynchronizeEvent(aclrtEvent event);
aclError aclrtQueryEventStatus(aclrtEvent event, int *state);
aclError aclrtIpcGetEventHandle(aclrtEvent event, aclrtIpcEventHandle *handle);
aclError aclrtIpcOpenEventHandle(aclrtIpcEventHandle handle, aclrtEvent *event);

struct message {
    uint64_t numbers[COUNT];
    aclrtIpcEventHandle event;
};

static char *base;
static aclrtDrvMemHandle handles[COUNT];

static void open_device(void) {
    void *place;
    CHECK(!aclInit(NULL) && !aclrtSetDevice(0));
    CHECK(!aclrtReserveMemAddress(&place, 4 * COUNT * GRANULE, 0, NULL, 0));
    base = place;
}

static char *place_of(unsigned i) {
    return base + (size_t)i * GRANULE;
}

static void write_byte(char *address, char value) {
    CHECK(!aclrtMemcpy(address, 1, &value, 1, ACL_HOST_TO_DEVICE));
}

static char read_byte(const char *address) {
    char value = 0;
    CHECK(!aclrtMemcpy(&value, 1, address, 1, ACL_DEVICE_TO_HOST));
    return value;
}

static void send_message(int to, const struct message *message, int fd) {
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.head = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))}};
    struct iovec part = {(void *)message, sizeof *message};
    struct msghdr all = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    CHECK(sendmsg(to, &all, 0) == sizeof *message);
}

static int take_message(int from, struct message *message) {
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {message, sizeof *message};
    struct msghdr all = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int fd;
    CHECK(recvmsg(from, &all, 0) == sizeof *message && CMSG_FIRSTHDR(&all));
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&all)), sizeof fd);
    return fd;
}

static char turn(int channel, char word) {
    char answer;
    CHECK(send(channel, &word, 1, 0) == 1 && recv(channel, &answer, 1, 0) == 1);
    return answer;
}

/* Maps what the other one has, beside memory of its own. */
static void importer(int channel) {
    struct message message;
    aclrtDrvMemHandle mine;
    aclrtEvent event;
    char word;
    int state, fd, bogus = memfd_create("bogus", 0);
    open_device();
    fd = take_message(channel, &message);
    CHECK(aclrtMemImportFromShareableHandle(message.numbers[0], 0, &handles[0])); /* the file is not known yet */
    CHECK(accelpool_backend_adopt(bogus) == -1 && accelpool_backend_adopt(-1) == -1);
    CHECK(!accelpool_backend_adopt(fd) && !accelpool_backend_adopt(fd));
    close(fd);
    CHECK(aclrtMemImportFromShareableHandle(message.numbers[0] ^ (1u << 16), 0, &mine)); /* another generation */
    CHECK(aclrtMemImportFromShareableHandle(message.numbers[0] | 0xffff, 0, &mine));     /* no such granule */
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK(!aclrtMemImportFromShareableHandle(message.numbers[i], 0, &handles[i]));
        CHECK(!aclrtMapMem(place_of(2 * i), GRANULE, 0, handles[i], 0));
        CHECK(!aclrtMallocPhysical(&mine, GRANULE, &(aclrtPhysicalMemProp){.location = {.type = 1}}, 0));
        CHECK(!aclrtMapMem(place_of(2 * i + 1), GRANULE, 0, mine, 0));
        CHECK(read_byte(place_of(2 * i) + 77) == (char)(i + 1) && read_byte(place_of(2 * i) + GRANULE - 1) == 0);
        write_byte(place_of(2 * i) + GRANULE - 1, (char)(100 + i));
        write_byte(place_of(2 * i + 1), 9);
    }
    CHECK(!aclrtIpcOpenEventHandle(message.event, &event) && aclrtRecordEvent(event, NULL));
    CHECK(!aclrtQueryEventStatus(event, &state) && state == ACL_EVENT_RECORDED); /* nothing recorded: nothing to wait for */
    CHECK(recv(channel, &word, 1, 0) == 1 && word == 'a');
    CHECK(!aclrtUnmapMem(place_of(0)) && !aclrtFreePhysical(handles[0])); /* and again, elsewhere */
    CHECK(!aclrtMemImportFromShareableHandle(message.numbers[0], 0, &handles[0]));
    CHECK(!aclrtMapMem(place_of(3 * COUNT), GRANULE, 0, handles[0], 0));
    CHECK(read_byte(place_of(3 * COUNT) + GRANULE - 1) == 100);
    CHECK(turn(channel, 'b') == 'c'); /* the other one has given the second back */
    CHECK(read_byte(place_of(2) + GRANULE - 1) == 101 && read_byte(place_of(2) + 77) == 2);
    CHECK(!aclrtUnmapMem(place_of(2)) && !aclrtFreePhysical(handles[1]));
    CHECK(aclrtMemImportFromShareableHandle(message.numbers[1], 0, &handles[1])); /* nobody has it any more */
    CHECK(!aclrtSynchronizeEvent(event));
    CHECK(send(channel, "d", 1, 0) == 1 && recv(channel, &word, 1, 0) == 0); /* killed */
    CHECK(!aclrtSynchronizeEvent(event) && !aclrtDestroyEvent(event));
    CHECK(read_byte(place_of(4) + 77) == 3);
    for (unsigned i = 2; i < COUNT; i++)
        CHECK(!aclrtUnmapMem(place_of(2 * i)) && !aclrtFreePhysical(handles[i]));
    CHECK(!aclrtFreePhysical(handles[0]) && !aclrtUnmapMem(place_of(3 * COUNT)));
    while (!aclrtMemImportFromShareableHandle(message.numbers[2], 0, &handles[2])) { /* until the killed one's files close: */
        CHECK(!aclrtFreePhysical(handles[2]));                                        /* this one's went with the last of it */
        usleep(1000);
    }
    CHECK(read_byte(place_of(5)) == 9);
    exit(0);
}

static void exporter(int channel) {
    struct message message = {.event = {.reserved = ""}};
    aclrtEvent event, plain;
    uint64_t again;
    char word;
    open_device();
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK(!aclrtMallocPhysical(&handles[i], GRANULE, &(aclrtPhysicalMemProp){.location = {.type = 1}}, 0));
        CHECK(aclrtMemExportToShareableHandle(handles[i], 0, 1, &message.numbers[i])); /* not mapped */
        CHECK(!aclrtMapMem(place_of(i), GRANULE, 0, handles[i], 0));
        write_byte(place_of(i) + 77, (char)(i + 1));
        CHECK(!aclrtMemExportToShareableHandle(handles[i], 0, 1, &message.numbers[i]));
        CHECK(!aclrtMemExportToShareableHandle(handles[i], 0, 1, &again) && again == message.numbers[i]);
        CHECK(read_byte(place_of(i) + 77) == (char)(i + 1));
    }
    CHECK(!aclrtCreateEventExWithFlag(&event, 0x40) && !aclrtCreateEventExWithFlag(&plain, 8));
    CHECK(aclrtIpcGetEventHandle(plain, &message.event) && !aclrtIpcGetEventHandle(event, &message.event));
    CHECK(accelpool_backend_share() >= 0);
    send_message(channel, &message, accelpool_backend_share());
    CHECK(turn(channel, 'a') == 'b');
    for (unsigned i = 0; i < COUNT; i++)
        CHECK(read_byte(place_of(i) + GRANULE - 1) == (char)(100 + i));
    CHECK(!aclrtUnmapMem(place_of(1)) && !aclrtFreePhysical(handles[1]));
    CHECK(!aclrtMallocPhysical(&handles[1], GRANULE, &(aclrtPhysicalMemProp){.location = {.type = 1}}, 0));
    CHECK(!aclrtMapMem(place_of(1), GRANULE, 0, handles[1], 0) && read_byte(place_of(1) + 77) == 0);
    CHECK(!aclrtRecordEvent(event, NULL));
    CHECK(send(channel, "c", 1, 0) == 1 && recv(channel, &word, 1, 0) == 1 && word == 'd');
    raise(SIGKILL);
}

int main(void) {
    int channels[2], status;
    CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, channels));
    pid_t child = fork();
    if (!child) {
        close(channels[0]);
        exporter(channels[1]);
    }
    pid_t other = fork();
    if (!other) {
        close(channels[1]);
        importer(channels[0]);
    }
    close(channels[0]);
    close(channels[1]);
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    CHECK(waitpid(other, &status, 0) == other && WIFEXITED(status) && !WEXITSTATUS(status));
    printf("emu_acl_share: ok\n");
    return 0;
}
