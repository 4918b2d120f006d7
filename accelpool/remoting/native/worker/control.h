/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets between a worker and its agent (control socket) and between the agent and the fork server. Both are AF_UNIX
 * SOCK_SEQPACKET: one packet = this header, then at most CONTROL_BLOB_MAX bytes, with descriptors as SCM_RIGHTS.
 * accelpool/remoting/agent/packets.py is the other end.
 */
#ifndef ACCELPOOL_WORKER_CONTROL_H
#define ACCELPOOL_WORKER_CONTROL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CONTROL_BLOB_MAX 61440u /* 60 KiB: below the default socket buffer, so a packet always fits */
#define CONTROL_FDS_MAX 2

enum control_type {
    /* worker -> agent */
    CONTROL_READY = 1,      /* the session is up */
    CONTROL_RESERVE = 2,    /* id, a = bytes needed, b = extra bytes wanted; answered RESERVE id, a = granted, 0 = none */
    CONTROL_RELEASE = 3,    /* a = bytes */
    CONTROL_WANT = 4,       /* device work and no grant */
    CONTROL_YIELD = 5,      /* a = ns used since the last report, b = 1: still has work; gives the grant back */
    CONTROL_USAGE = 6,      /* a = device ns since the last report, b = allocated bytes, c = launches since then */
    CONTROL_TRANSLATE = 7,  /* id, a = length, fd = memfd with PTX; answered TRANSLATE id, a = CUresult, fd, blob = log */
    CONTROL_MEMINFO = 8,    /* id; answered MEMINFO id, a = free bytes of the slice, b = its limit, c = utilization, percent */
    CONTROL_CONTENT_FIND = 11, /* id, blob = SHA-256; answered CONTENT_FIND id, a = length or 0: unknown, fd */
    CONTROL_CONTENT_KEEP = 12, /* a = length, blob = SHA-256, fd = sealed memfd: a module image for the project's later runs */
    CONTROL_TOUCH = 13,     /* id, a = bytes of host memory needed, b = extra; answered TOUCH id, a = allowed, 0 = none left */
    CONTROL_UNTOUCH = 14,   /* a = bytes of that allowance given back */
    CONTROL_EXPORT = 20,    /* id, a = bytes, b = where they start in the first granule, c = 1: for every process, blob = u64
                               numbers of granules, fd that belongs to them, if any; answered EXPORT id, a = 1, blob = key */
    CONTROL_EXPORT_ALLOW = 21, /* id, blob = key, i32 processes; answered EXPORT_ALLOW id, a = 1: it is this session's */
    CONTROL_EXPORT_END = 22,   /* id, blob = key; answered EXPORT_END id, a = 1: it was this session's */
    CONTROL_IMPORT = 23,    /* id, a = process, blob = key; answered IMPORT id, a, b, blob, fd as in EXPORT; a = 0: none */
    /* agent -> worker (besides the answers above) */
    CONTROL_GRANT = 4,      /* a = budget ns */
    CONTROL_REVOKE = 5,     /* somebody waits: YIELD when the budget is used, at once when idle */
    CONTROL_RECALL = 9,     /* a = bytes wanted back from unused leases; RELEASE what comes */
    CONTROL_END = 10,       /* a = enum control_end: tell the client (BYE) and exit */
    /* agent -> fork server: id = session id of the agent's choice, blob = parameters, fds = socket, control */
    CONTROL_SPAWN = 32,
    CONTROL_KILL = 36,      /* id = session id: SIGKILL; the fork server reaps, so the pid cannot be another's by now */
    /* fork server -> agent, id = that session id */
    CONTROL_SPAWNED = 33,   /* a = pid */
    CONTROL_FAILED = 34,    /* a = errno */
    CONTROL_EXITED = 35,    /* a = pid, b = wait status */
};

enum control_end {
    CONTROL_END_UNBOUND = 1,  /* the slice was unbound */
    CONTROL_END_SHUTDOWN = 2, /* the agent stops */
    CONTROL_END_REFUSED = 3,  /* the agent found the worker's packets wrong */
};

struct control_packet {
    uint32_t type; /* enum control_type */
    uint32_t id;   /* pairs an answer with its question; 0 where there is none */
    uint64_t a, b, c;
};

_Static_assert(sizeof(struct control_packet) == 32, "control packet layout");

/*
 * Sends one packet. blob may be NULL with length 0; fds may be NULL with count 0. Blocks as the socket does; safe from
 * several threads, because one packet is one sendmsg. Returns 0, or -1 with errno (EPIPE: the other end is gone).
 */
int control_send(int fd, const struct control_packet *packet, const void *blob, size_t length, const int *fds,
                 unsigned fd_count);

/*
 * Receives one packet. blob must hold CONTROL_BLOB_MAX bytes, or be NULL when the caller takes none (a longer packet is
 * then EMSGSIZE). *fd_count: in = room in fds (at most CONTROL_FDS_MAX), out = received; they are close-on-exec.
 * Returns the blob's length, -1 with errno, or -1 with errno 0 when the other end has closed. flags go to recvmsg
 * (MSG_DONTWAIT). On -1 no descriptor is left open.
 */
ssize_t control_receive(int fd, struct control_packet *packet, void *blob, int *fds, unsigned *fd_count, int flags);

#endif
