/* SPDX-License-Identifier: Apache-2.0 */
/* What one session consists of; every file here that has state owns one member. One session per process. */
#ifndef ACCELPOOL_WORKER_STATE_H
#define ACCELPOOL_WORKER_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "control.h"
#include "dispatch.h"
#include "session.h"
#include "stream.h"
#include "vendor.h"
#include "wire.h"

/* Receive side: one linear buffer; only the main thread touches it. */
struct reader {
    uint8_t *buffer;
    size_t capacity, begin, end; /* unread bytes are [begin, end) */
    size_t ahead;                /* how much one recv may bring beyond what is needed now */
    uint64_t sequence;           /* of the last header */
    uint64_t complete;           /* of the last whole frame */
    uint64_t unacknowledged;     /* bytes of whole frames since the last ACK or inline reply */
};

/* Send side: every thread that answers. */
struct sender {
    pthread_mutex_t lock;
    atomic_int deferred;     /* first failure of a call without reply that no frame has carried yet */
    _Atomic uint64_t recall; /* bytes to ask the client for as soon as the socket takes a frame */
};

#define HANDLE_CHUNK 1024u
struct handle_table {
    _Atomic(_Atomic(void *) *) chunks[HANDLE_LIMIT / HANDLE_CHUNK];
};

struct side_job;
struct side {
    pthread_mutex_t lock;
    pthread_cond_t work, room;
    struct side_job *first, **last;
    unsigned threads, idle, queued, running;
    size_t queued_bytes;
    int stopping;
};

/* Questions to the agent that wait for their answers, and the thread that receives. */
struct agent_question;
struct agent {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    struct agent_question *questions;
    uint32_t next_id;
    pthread_t thread;
    int started, closed;
    int leaving; /* the main thread is on its way out */
};

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int granted, revoked, wanted, idle, ended;
    int64_t budget;        /* ns left of the grant */
    uint64_t used;         /* device ns since the last report */
    _Atomic uint64_t launches; /* since the last report */
    uint64_t reported;     /* CLOCK_MONOTONIC ns of the last report */
};

#define METER_SEGMENTS 64u
struct meter_segment {
    void *before, *after; /* events */
    void *stream;
    unsigned calls;
    int open;   /* a call is being made */
    int broken; /* an event could not be recorded: it counts nothing */
    uint64_t touched; /* CLOCK_MONOTONIC ns of its last call */
};

struct meter {
    int on;
    pthread_mutex_t submit; /* who hands work over; taken before the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    struct meter_segment segments[METER_SEGMENTS];
    unsigned first, count, calls; /* under way */
    int waiting;     /* somebody has work and waits */
    void *base;      /* the event from which times are measured: the end of the last segment */
    double average;  /* ns of a call */
};

struct memory {
    pthread_mutex_t lock;      /* what is mapped, and the count of returns */
    pthread_cond_t returned;
    pthread_rwlock_t mapping;  /* read: a thread uses device memory directly; write: a mapping goes away */
    uint64_t base, size;       /* the range; size 0: none yet */
    unsigned tries;            /* RANGE frames so far */
    _Atomic uint64_t *granules; /* one bit per granule: mapped */
    _Atomic uint64_t *foreign;  /* the same: mapped, and another session's */
    _Atomic uint64_t *joined;   /* the same: in one mapping with the granule before */
    pthread_mutex_t account;   /* the next four; never held for long */
    uint64_t mapped;           /* bytes */
    uint64_t rounding;         /* bytes of the agent's ledger that pay for what is mapped beyond what is leased */
    uint64_t taken;            /* bytes that the vendor takes by itself, but for variables */
    uint64_t taken_paid;       /* bytes of the agent's ledger that pay for them */
    void *clearing;            /* stream in which fresh granules are cleared */
    _Atomic uint64_t leased;   /* bytes of the agent's ledger that the client may use */
    _Atomic uint64_t charged;  /* bytes of it that modules use */
    _Atomic uint64_t recalls;  /* RECALL frames so far; the return that says the last one's number answers the agent */
    uint64_t returns_seen, returns_done; /* LEASE_RETURN frames */
};

struct touch {
    pthread_mutex_t lock;
    uint64_t allowed, used; /* bytes */
};

#define OUTGOING_KEPT 4u
struct outgoing {
    pthread_mutex_t lock;
    void *pairs[OUTGOING_KEPT]; /* of pinned chunks that no copy uses */
    unsigned count;
};

struct output {
    pthread_mutex_t sending; /* over taking text and sending it: answers of other threads wait; taken before the lock */
    pthread_mutex_t lock;    /* the text; never held for long */
    pthread_t thread;
    int on;
    int pipe;   /* its end for reading; standard output is the other */
    int before; /* what standard output was */
    uint8_t *text;
    size_t length;
};

struct staging;
struct modules;

struct worker_api;

struct session {
    const struct worker_params *params;
    const struct worker_api *api;
    struct stream stream; /* to the client */
    struct tls *secure;   /* until stream has it */
    int control_fd;
    pthread_t main;
    atomic_int ended;
    struct reader reader;
    struct sender sender;
    struct handle_table handles[HANDLE_KINDS];
    struct side side;
    struct agent agent;
    struct gate gate;
    struct meter meter;
    struct memory memory;
    struct touch touch;
    struct staging *staging; /* copy_in.c */
    struct outgoing outgoing;
    struct output output;
    struct modules *modules; /* modules.c */
};

/* --- reader.c --- */
int reader_open(struct session *s);
void reader_close(struct session *s);
/* Next frame's header and, when it fits the bounds, its whole payload. 0, or -1 at the end of the session. */
int reader_frame(struct session *s, struct call *call);
/* Next frame's header only; its reader_take() or reader_payload() must follow. call->payload is NULL. */
int reader_header(struct session *s, struct call *call);
/* Makes the current payload stand in the buffer and call->payload point there. 0 or -1. */
int reader_payload(struct session *s, struct call *call);
/* Moves the current payload, length bytes, to memory, straight from the socket where possible. 0 or -1. */
int reader_take(struct session *s, void *memory, size_t length);

/* The header of a DATA frame with at most `left` bytes; anything else ends the session. 0 or -1. */
int data_header(struct session *s, struct call *data, uint64_t left);
/* Takes DATA frames with `bytes` bytes in all that nobody wants. 0 or -1. */
int data_discard(struct session *s, uint64_t bytes);

/* --- send.c --- */
/* One frame from parts; takes the send lock. Failure ends the session. */
void send_frame(struct session *s, uint16_t opcode, uint16_t flags, uint64_t sequence, const struct iovec *parts,
                int count);
/* A chunk of a reply: {status, sticky} and bytes; more = another one follows. */
void send_chunk(struct session *s, const struct call *call, int32_t status, const void *bytes, size_t length, int more);
void send_ack(struct session *s);
/* These two never block for long: the control thread must stay free to end a session whose client does not read. */
void send_recall(struct session *s, uint64_t bytes);
void send_bye(struct session *s);
void send_deferred(struct session *s, int32_t status);

/* --- handles.c --- */
/* Empties the table; drop (or nothing) gets every handle. Only when no other thread is left. */
void handle_drain(struct session *s, enum handle_kind kind, void (*drop)(void *handle));

/* --- side.c --- */
int side_open(struct session *s);
/* side_submit() for a payload that owns something: drop frees it when the handler will not run. */
void side_submit_owner(struct session *s, const struct call *call, call_handler handler, call_handler drop);
/* No job starts any more; those that run are left alone, because the process is about to exit. Any thread. */
void side_stop(struct session *s);
/* side_stop(), then waits a moment for the threads. 0: all have gone, -1: one is held up. */
int side_close(struct session *s);

/* --- agent.c --- */
int agent_open(struct session *s);
/* Ends the receiving thread. Until this is called it ends the process when the device holds the main thread up. */
void agent_close(struct session *s);
/* Packet without an answer. */
int agent_tell(struct session *s, uint32_t type, uint64_t a, uint64_t b, uint64_t c);
struct agent_extra { /* what goes along with a question or comes with its answer */
    void *blob;      /* of an answer: CONTROL_BLOB_MAX bytes of room, or NULL */
    size_t length;
    int fd;          /* -1: none */
};
/* The same with a blob and a descriptor. */
int agent_send(struct session *s, const struct control_packet *packet, const struct agent_extra *extra);
/* Asks and waits; extras may be NULL. Returns 0, or -1 when the agent is gone. */
int agent_ask(struct session *s, const struct control_packet *question, const struct agent_extra *with,
              struct control_packet *answer, struct agent_extra *got);

/* --- gate.c, touch.c, translate.c: hooks for the backend --- */
int gate_open(struct session *s);
void gate_grant(struct session *s, uint64_t budget);
void gate_revoke(struct session *s);
void gate_end(struct session *s);
/* The same for the meter. gate_enter() waits for the grant: 0, or -1 at the end of the session. */
int gate_enter(struct session *s);
int gate_granted(struct session *s);
void gate_used(struct session *s, uint64_t used);
/* Nothing is under way; more: somebody has work. */
void gate_empty(struct session *s, int more);
/* Reports what is left to report; at the session's end. */
void gate_flush(struct session *s);
/* USAGE */
void gate_usage(struct session *s, const struct call *call);
uint64_t hook_gate_enter(void *opaque);
int hook_gate_charge(void *opaque, uint64_t used);
void hook_gate_idle(void *opaque);
int touch_open(struct session *s);
int hook_touch(void *opaque, uint64_t bytes);
void hook_untouch(void *opaque, uint64_t bytes);
int hook_translate(void *opaque, const char *ptx, size_t length, int *module_fd, char *log, size_t log_size);

/* --- meter.c --- */
/* For a vendor library that does not meter itself; with one that does, these do nothing. */
int meter_open(struct session *s);
/* The session is over: nobody waits any more. */
void meter_wake(struct session *s);

/* --- account.c --- */
/* Between need and need + extra bytes of the slice's ledger, or 0; need is at least 1. */
uint64_t ledger_reserve(struct session *s, uint64_t need, uint64_t extra);
void ledger_release(struct session *s, uint64_t bytes);
/* Before `bytes` more are mapped. -1: the slice has not so much left. */
int account_map(struct session *s, uint64_t bytes, uint64_t leased);
void account_unmap(struct memory *m, uint64_t bytes);
/* `bytes` are not leased any more. Returns what the ledger gets back: less where they are still mapped, more where others
 * that were not leased are not mapped any more. */
uint64_t account_free(struct memory *m, uint64_t bytes);

/* Before the vendor takes `bytes` by itself, for code and stacks and the like, and when it has them back. 0, or a CUresult. */
int account_take(struct session *s, uint64_t bytes);
void account_give(struct session *s, uint64_t bytes);

/* --- memory.c --- */
int memory_open(struct session *s);
void memory_close(struct session *s);
void memory_range(struct session *s, const struct call *call);
void memory_lease(struct session *s, const struct call *call);
void memory_lease_return(struct session *s, const struct call *call);
void memory_info(struct session *s, const struct call *call);
void memory_barrier(struct session *s, const struct call *call);
/* Bytes of the slice's ledger for what the vendor allocates by itself (a module's globals). 0, or a CUresult. */
int memory_charge(struct session *s, uint64_t bytes);
void memory_discharge(struct session *s, uint64_t bytes);
uint64_t memory_range_size(uint64_t limit);
/* Direct use of device memory: NULL where the range is not mapped or the backend has none; else call memory_done(). */
void *memory_use(struct session *s, uint64_t address, uint64_t length, int write);
void memory_done(struct session *s);

/* --- foreign.c --- */
/* Maps granules of another session at [address, address + length), where nothing is mapped; next gives the index-th. The
 * slice pays for them as for its own, because the other session may end first. ticket: memory.returns_seen when the frame
 * came. A status, as of memory_abandon(), which takes them away; side threads only. */
int memory_adopt(struct session *s, uint64_t address, uint64_t length, uint64_t ticket,
                 int (*next)(void *opaque, uint64_t index, uint64_t *memory), void *opaque);
int memory_abandon(struct session *s, uint64_t address, uint64_t length);
/* 1 when some of the range is another session's. */
int memory_is_foreign(struct session *s, uint64_t address, uint64_t length);

/* --- memory_file.c --- */
/* A new memory file with these bytes; sealed: nobody can change it any more. -1: errno. */
int memory_file(const void *bytes, size_t length, int sealed);

/* --- modules.c, link.c --- */
int modules_open(struct session *s);
void modules_close(struct session *s);
void module_offer(struct session *s, const struct call *call);
void module_data(struct session *s, const struct call *call);
void module_unload(struct session *s, const struct call *call);
/* The vendor's handle of a module, or NULL. */
void *module_vendor(struct session *s, uint32_t module);
void links_close(struct session *s);
void link_create(struct session *s, const struct call *call);
void link_add(struct session *s, const struct call *call);
void link_complete(struct session *s, const struct call *call);
void link_destroy(struct session *s, const struct call *call);

/* --- kernels.c --- */
/* The vendor's function of a module's kernel and how many parameter bytes it takes; NULL: there is none, or
 * it was neither told of nor asked for. */
void *module_kernel(struct session *s, uint32_t module, uint32_t kernel, uint32_t *parameter_bytes);
void kernel_set(struct session *s, const struct call *call);
void kernel_ask(struct session *s, const struct call *call);

/* --- globals.c --- */
/* 1 when the range lies in one global of a loaded module. */
int module_contains(struct session *s, uint64_t address, uint64_t length);
void module_global(struct session *s, const struct call *call);

/* --- launch.c, copy_in.c, copy_out.c --- */
void launch(struct session *s, const struct call *call);
void copy_in(struct session *s, const struct call *call);
void copy_in_close(struct session *s);
int copy_out_open(struct session *s);
void copy_out(struct session *s, const struct call *call);
void copy_out_close(struct session *s);

/* --- output.c --- */
/* From here on what the vendor's library prints goes to the client, which has to have its WELCOME. */
int output_open(struct session *s);
/* Before an answer: what the library has printed so far comes first. */
void output_flush(struct session *s);
void output_close(struct session *s);

/* --- secure.c --- */
/* Prepares TLS where the agent wants it, before the sandbox closes. 0, or -1 with a reason. */
int secure_open(struct session *s, char *why, size_t why_size);
/* Shakes hands with the client, once; from then on the stream is TLS. 0, or -1 with a reason. */
int secure_shake(struct session *s, char *why, size_t why_size);

/* --- session.c --- */
int session_open(struct session *s, const struct worker_params *params, int sock, int control);
void session_run(struct session *s);
/* Frees everything, unless the device is at work: it asks nothing of the vendor that would wait. */
void session_close(struct session *s);
/* A device with no work queued or running, as far as the backend can say: blocking calls need no side thread. */
int session_idle(void);
/* The vendor's stream for a client's number; 0, or -1: there is none. */
int session_stream(struct session *s, uint64_t id, void **stream);

#endif
