/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker_session for the agent's tests: after WELCOME it obeys one-line orders from the client, forwards them to the
 * agent as packets and prints what the agent says. Linked with main, forkserver, confine, parameters, control, sandbox.
 *
 * Orders: "packet TYPE A B C", "facts", "env NAME", "library", "call NAME", "translate TEXT", "spin", "exit CODE".
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"
#include "session.h"

static int client;

static void say(const char *text)
{
    if (dprintf(client, "%s\n", text) < 0)
        _exit(3);
}

static int in_thread(void)
{
    pthread_t thread;
    extern void *nothing(void *);

    errno = pthread_create(&thread, NULL, nothing, NULL);
    return errno ? -1 : pthread_join(thread, NULL);
}

void *nothing(void *unused)
{
    return unused;
}

/* Tries one system call and says 0 or the name of its error. */
static void try_call(const char *name)
{
    int result = -1;
    struct iovec part = {0};
    struct rlimit limit = {0};

    cpu_set_t cpus;
    errno = 0;
    if (!strcmp(name, "socket"))
        result = socket(AF_INET, SOCK_STREAM, 0);
    else if (!strcmp(name, "execve"))
        result = execl("/bin/true", "true", NULL);
    else if (!strcmp(name, "fork"))
        result = (int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    else if (!strcmp(name, "ptrace"))
        result = (int)ptrace(PTRACE_TRACEME, 0, 0, 0);
    else if (!strcmp(name, "process_vm_readv"))
        result = (int)process_vm_readv(getppid(), &part, 1, &part, 1, 0);
    else if (!strcmp(name, "kill"))
        result = kill(getppid(), 0);
    else if (!strcmp(name, "tgkill-parent"))
        result = (int)syscall(SYS_tgkill, getppid(), getppid(), 0);
    else if (!strcmp(name, "node"))
        result = open("/dev/null", O_RDWR | O_CLOEXEC);
    else if (!strcmp(name, "create"))
        result = open("/tmp/accelpool-stub", O_CREAT | O_RDWR, 0600);
    else if (!strcmp(name, "bpf"))
        result = (int)syscall(SYS_bpf, 0, 0, 0);
    else if (!strcmp(name, "mount"))
        result = (int)syscall(SYS_mount, "a", "/", "tmpfs", 0, 0);
    else if (!strcmp(name, "unshare"))
        result = (int)syscall(SYS_unshare, 0x10000000);
    else if (!strcmp(name, "setuid"))
        result = (int)syscall(SYS_setuid, 0);
    else if (!strcmp(name, "prctl-dumpable"))
        result = prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    else if (!strcmp(name, "setown"))
        result = fcntl(client, F_SETOWN, getppid());
    else if (!strncmp(name, "ioctl-", 6)) /* by its type byte; none is a socket's */
        result = ioctl(client, _IO((unsigned char)name[6], 77), 0);
    else if (!strcmp(name, "thread"))
        result = in_thread();
    else if (!strcmp(name, "read-file"))
        result = open("/proc/self/maps", O_RDONLY) >= 0 ? 0 : -1;
    else if (!strcmp(name, "exec-map"))
        result = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
    else if (!strcmp(name, "affinity"))
        result = sched_getaffinity(0, sizeof cpus, &cpus) || sched_setaffinity(0, sizeof cpus, &cpus) ? -1 : 0;
    else if (!strcmp(name, "clone3")) /* the C library's first try for a thread */
        result = (int)syscall(SYS_clone3, NULL, 0);
    else if (!strcmp(name, "limit"))
        result = getrlimit(RLIMIT_NOFILE, &limit);
    say(result >= 0 ? "ok" : strerrorname_np(errno));
}

static void say_facts(const struct worker_params *params, int control)
{
    dprintf(client,
            "{\"pid\": %d, \"uid\": %u, \"gid\": %u, \"no_new_privs\": %d, \"dumpable\": %d, "
            "\"seccomp\": %d, \"control\": %d, \"memory_limit\": %llu, \"slice\": \"%s\", \"compute\": %u}\n",
            getpid(), getuid(), getgid(), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
            prctl(PR_GET_DUMPABLE), prctl(PR_GET_SECCOMP), control,
            (unsigned long long)params->memory_limit, params->slice, params->compute);
}

static void translate(int control, const char *text)
{
    struct control_packet packet = {.type = CONTROL_TRANSLATE, .id = 77, .a = strlen(text)};
    int fd = memfd_create("ptx", MFD_CLOEXEC);

    if (fd < 0 || write(fd, text, strlen(text)) < 0 || control_send(control, &packet, NULL, 0, &fd, 1))
        _exit(4);
    close(fd);
}

static void obey(char *order, const struct worker_params *params, int control)
{
    unsigned type, id;
    unsigned long long a, b, c;
    int code;

    if (sscanf(order, "packet %u %u %llu %llu %llu", &type, &id, &a, &b, &c) == 5) {
        struct control_packet packet = {.type = type, .id = id, .a = a, .b = b, .c = c};
        if (control_send(control, &packet, NULL, 0, NULL, 0))
            _exit(4);
        say("sent");
    } else if (!strcmp(order, "facts")) {
        say_facts(params, control);
    } else if (!strncmp(order, "env ", 4)) {
        say(getenv(order + 4) ? getenv(order + 4) : "(none)");
    } else if (!strcmp(order, "library")) {
        code = open(params->library, O_RDONLY);
        dprintf(client, "%s %s\n", params->library, code >= 0 ? "ok" : strerrorname_np(errno));
    } else if (!strncmp(order, "call ", 5)) {
        try_call(order + 5);
    } else if (!strncmp(order, "translate ", 10)) {
        translate(control, order + 10);
    } else if (!strcmp(order, "spin")) {
        for (;;)
            poll(NULL, 0, -1);
    } else if (sscanf(order, "exit %d", &code) == 1) {
        _exit(code);
    } else {
        say("what?");
    }
}

/* Says what the agent sent; answers a RECALL and an END only when the client orders it. */
static int hear_agent(int control)
{
    static char blob[CONTROL_BLOB_MAX];
    struct control_packet packet;
    int fd = -1;
    unsigned count = 1;
    ssize_t length = control_receive(control, &packet, blob, &fd, &count, 0);

    if (length < 0)
        return -1;
    dprintf(client, "agent %u %u %llu %llu %d %.*s\n", packet.type, packet.id, (unsigned long long)packet.a,
            (unsigned long long)packet.b, (int)count, (int)length, blob);
    if (count)
        close(fd);
    return packet.type == CONTROL_END ? -1 : 0;
}

int worker_session(const struct worker_params *params, int sock, int control)
{
    struct control_packet ready = {.type = CONTROL_READY};
    const char welcome[16] = {0, 0, 0, 0, 4};
    static char line[65536];
    size_t used = 0;

    client = sock;
    if (getenv("NEVER_READY"))
        for (;;)
            poll(NULL, 0, -1);
    if (sandbox_enter(getenv("DEVICE_NODES") != NULL) || control_send(control, &ready, NULL, 0, NULL, 0) || write(sock, welcome, sizeof welcome) < 0)
        return 5;
    for (;;) {
        struct pollfd watched[2] = {{.fd = sock, .events = POLLIN}, {.fd = control, .events = POLLIN}};
        char *end;
        ssize_t got;

        if (poll(watched, 2, -1) < 0)
            return 6;
        if (watched[1].revents && hear_agent(control))
            return 0;
        if (!watched[0].revents)
            continue;
        got = read(sock, line + used, sizeof line - used - 1);
        if (got <= 0)
            return 0;
        used += (size_t)got;
        line[used] = 0;
        while ((end = strchr(line, '\n'))) {
            *end = 0;
            obey(line, params, control);
            used -= (size_t)(end + 1 - line);
            memmove(line, end + 1, used + 1);
        }
    }
}
