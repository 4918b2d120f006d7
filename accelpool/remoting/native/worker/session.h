/* SPDX-License-Identifier: Apache-2.0 */
/* What the fork server hands to a session, and what it has done to the process before. */
#ifndef ACCELPOOL_WORKER_SESSION_H
#define ACCELPOOL_WORKER_SESSION_H

#include <stdint.h>

#define ACCELPOOL_WORKER_ENV_MAX 32

/* Filled by the fork server from the agent's SPAWN message; the strings live as long as the process. */
struct worker_params {
    char interface[16];      /* interface description: "cuda" */
    char library[4096];      /* vendor library to dlopen; /proc/self/fd/N where the session's uid cannot reach its path */
    char slice[37];          /* UUIDs in text form */
    char allocation[37];
    char project[65];
    uint64_t memory_limit;   /* bytes, of the slice */
    uint32_t compute;        /* percent points */
    uint32_t strict;         /* 1: never beyond the share, even when the device idles */
    uint64_t window_bytes;   /* how much the client may have unacknowledged */
    struct {                 /* the session's end of TLS; wiped when it has been read */
        uint32_t transport;  /* enum wire_transport */
        char *key;           /* 64 hex digits */
        char *authority, *certificate, *private_key; /* PEM, or NULL */
    } secure;
    uint32_t env_count;
    struct {
        const char *name, *value;
    } env[ACCELPOOL_WORKER_ENV_MAX]; /* already in the process's environment */
};

/*
 * Runs one session until EOF, END or an error and returns the process's exit status.
 *
 * The process is fresh from fork: signal mask and dispositions are the defaults except SIGPIPE, which is ignored; it has
 * its own uid where the agent is root, no capabilities, no_new_privs, PDEATHSIG, is not dumpable, and has these
 * descriptors only: 0-2 (/dev/null, /dev/null, the agent's log), sock, control and, where library says so, the library's.
 * All of them are close-on-exec; sock and control are blocking.
 */
int worker_session(const struct worker_params *params, int sock, int control);

/*
 * Installs the seccomp filter on every thread of the process (sandbox.c has the list). Call it when the vendor library
 * is loaded and before the first tenant byte is read. device_nodes: files may be opened for writing too, but none created. Returns 0, or -1 with errno; a session must not go on after -1.
 */
int sandbox_enter(int device_nodes);

#endif
