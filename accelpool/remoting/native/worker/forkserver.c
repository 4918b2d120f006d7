/* SPDX-License-Identifier: Apache-2.0 */
/* One single-threaded process that forks sessions: no exec and no dynamic linking stands between a client and its worker. */
#include "forkserver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"
#include "control.h"
#include "forward.h"
#include "parameters.h"

#define SETUP_FAILED 121 /* exit status of a child that could not be confined */

struct child {
    pid_t pid;
    uint32_t id;
};

struct server {
    int socket, signals;
    sigset_t old_mask;
    pid_t pid;
    struct child *children;
    size_t count, room;
    char blob[CONTROL_BLOB_MAX];
};

/* The session's descriptors, in this order from FIRST_FD on; sock and control are what SPAWN carried. */
enum { FD_SOCK, FD_CONTROL, FD_LIBRARY, FD_COUNT };
#define FIRST_FD 3

static void __attribute__((noreturn)) give_up(const char *what)
{
    fprintf(stderr, "accelpool-worker: cannot %s: %s\n", what, strerror(errno));
    _exit(SETUP_FAILED);
}

/* Moves the descriptors to their fixed numbers and closes all others. */
static void arrange_descriptors(int *fds)
{
    for (int i = 0; i < FD_COUNT; i++) /* out of the way of the numbers that they are moved to */
        if (fds[i] >= 0 && (fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FIRST_FD + FD_COUNT)) < 0)
            give_up("move a descriptor");
    for (int i = 0; i < FD_COUNT; i++) {
        if (fds[i] < 0)
            close(FIRST_FD + i);
        else if ((fds[i] = dup3(fds[i], FIRST_FD + i, O_CLOEXEC)) < 0)
            give_up("move a descriptor");
    }
    if (close_range(FIRST_FD + FD_COUNT, ~0u, 0))
        give_up("close descriptors");
}

static void make_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK))
        give_up("make a socket blocking");
}

static void __attribute__((noreturn)) run_child(const struct server *server, struct spawn_parameters *p, const int *received)
{
    struct worker_params *session = &p->session;
    int fds[FD_COUNT] = {received[0], received[1], -1};

    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sigprocmask(SIG_SETMASK, &server->old_mask, NULL))
        give_up("set up signals");
    if (p->forward) {
        arrange_descriptors(fds);
        if (confine(p->uid, p->gid, CONFINE_NO_GROUP, server->pid))
            give_up("give up privileges");
        _exit(forward_run(fds[FD_SOCK], fds[FD_CONTROL]));
    }
    /* Opened while the privileges are there: the session's uid may not reach the path. */
    fds[FD_LIBRARY] = open(session->library, O_RDONLY | O_CLOEXEC);
    if (fds[FD_LIBRARY] < 0 && strchr(session->library, '/'))
        give_up("open the vendor library");
    arrange_descriptors(fds);
    make_blocking(fds[FD_SOCK]);
    make_blocking(fds[FD_CONTROL]);
    for (uint32_t i = 0; i < session->env_count; i++)
        if (setenv(session->env[i].name, session->env[i].value, 1))
            give_up("set the environment");
    if (confine(p->uid, p->gid, p->group, server->pid))
        give_up("give up privileges");
    if (fds[FD_LIBRARY] >= 0 && access(session->library, R_OK) == 0) {
        close(fds[FD_LIBRARY]); /* by its own path the library finds what it needs beside it */
    } else if (fds[FD_LIBRARY] >= 0) {
        snprintf(session->library, sizeof session->library, "/proc/self/fd/%d", fds[FD_LIBRARY]);
    }
    _exit(worker_session(session, fds[FD_SOCK], fds[FD_CONTROL]));
}

static void tell(struct server *server, uint32_t type, uint32_t id, uint64_t a, uint64_t b)
{
    const struct control_packet packet = {.type = type, .id = id, .a = a, .b = b};

    if (control_send(server->socket, &packet, NULL, 0, NULL, 0))
        _exit(0); /* the agent is gone; the sessions follow by PDEATHSIG */
}

static int remember(struct server *server)
{
    struct child *more;

    if (server->count < server->room)
        return 0;
    more = realloc(server->children, (server->room + 64) * sizeof *more);
    if (!more)
        return -1;
    server->children = more;
    server->room += 64;
    return 0;
}

static void spawn(struct server *server, uint32_t id, size_t length, const int *fds, unsigned count)
{
    struct spawn_parameters parameters;
    pid_t pid;

    if (count != 2 || parameters_read(&parameters, server->blob, length)) {
        tell(server, CONTROL_FAILED, id, EINVAL, 0);
        return;
    }
    if (remember(server) || (pid = fork()) < 0) {
        tell(server, CONTROL_FAILED, id, (uint64_t)errno, 0);
        return;
    }
    if (pid == 0)
        run_child(server, &parameters, fds);
    server->children[server->count++] = (struct child){.pid = pid, .id = id};
    tell(server, CONTROL_SPAWNED, id, (uint64_t)pid, 0);
}

static void reap(struct server *server)
{
    struct signalfd_siginfo information;
    int status;
    pid_t pid;

    if (read(server->signals, &information, sizeof information) < 0 && errno != EAGAIN && errno != EINTR)
        give_up("read signals");
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < server->count; i++) {
            struct child child = server->children[i];
            if (child.pid != pid)
                continue;
            server->children[i] = server->children[--server->count];
            tell(server, CONTROL_EXITED, child.id, (uint64_t)pid, (uint64_t)(unsigned)status);
            break;
        }
    }
}

static void serve(struct server *server)
{
    struct control_packet packet;
    int fds[CONTROL_FDS_MAX];
    unsigned count = CONTROL_FDS_MAX;
    ssize_t length = control_receive(server->socket, &packet, server->blob, fds, &count, 0);

    if (length < 0)
        _exit(errno == 0 || errno == ECONNRESET ? 0 : 1);
    if (packet.type == CONTROL_SPAWN) {
        spawn(server, packet.id, (size_t)length, fds, count);
        explicit_bzero(server->blob, (size_t)length); /* no later session inherits the secrets of this one */
    } else if (packet.type == CONTROL_KILL) {
        for (size_t i = 0; i < server->count; i++)
            if (server->children[i].id == packet.id)
                kill(server->children[i].pid, SIGKILL);
    }
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
}

/* Sessions must not hold the agent's standard input and output; standard error is its log. */
static int detach_streams(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
        return -1;
    return null > 2 ? close(null) : 0;
}

int forkserver_run(int socket)
{
    static struct server server;
    sigset_t wanted;

    server.socket = socket;
    server.pid = getpid();
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGCHLD);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) || detach_streams() || fcntl(socket, F_SETFD, FD_CLOEXEC) ||
        sigprocmask(SIG_BLOCK, &wanted, &server.old_mask) ||
        (server.signals = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK)) < 0) {
        fprintf(stderr, "accelpool-worker: cannot start the fork server: %s\n", strerror(errno));
        return 1;
    }
    for (;;) {
        struct pollfd ready[2] = {{.fd = socket, .events = POLLIN}, {.fd = server.signals, .events = POLLIN}};

        if (poll(ready, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            return 1;
        }
        if (ready[1].revents)
            reap(&server);
        if (ready[0].revents)
            serve(&server);
    }
}
