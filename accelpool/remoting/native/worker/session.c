/* SPDX-License-Identifier: Apache-2.0 */
/* One session from WELCOME to its end: opens the vendor library, closes the sandbox, then runs the stream of calls. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api.h"
#include "backend.h"
#include "state.h"

int session_idle(void)
{
    return vendor.idle && vendor.idle();
}

int session_stream(struct session *s, uint64_t id, void **stream)
{
    const uint64_t literals = s->api->stream_literals;

    *stream = id <= literals ? (void *)(uintptr_t)id : handle_get(s, HANDLE_STREAM, id);
    return id <= literals || *stream ? 0 : -1;
}

void session_end(struct session *s, const char *reason)
{
    if (atomic_exchange(&s->ended, 1))
        return;
    if (reason)
        fprintf(stderr, "accelpool-worker[%d] slice %s: session ended: %s\n", (int)getpid(), s->params->slice, reason);
    shutdown(s->stream.fd, SHUT_RDWR); /* wakes every thread that reads or writes there */
    gate_end(s);
    meter_wake(s);
    side_stop(s);
}

/* --- start ------------------------------------------------------------------------------------------------------- */

static void send_welcome(struct session *s)
{
    struct wire_snapshot snapshot;
    struct wire_welcome welcome = {
        .version = WIRE_VERSION,
        .window_bytes = (uint32_t)s->params->window_bytes,
        .memory_limit = s->params->memory_limit,
        .granule = vendor.granule,
        .range_size = memory_range_size(s->params->memory_limit),
        .snapshot_length = sizeof snapshot,
    };
    struct iovec parts[2] = {{&welcome, sizeof welcome}, {&snapshot, sizeof snapshot}};

    memset(&snapshot, 0, sizeof snapshot);
    s->api->snapshot(&snapshot);
    send_frame(s, WIRE_WELCOME, 0, 0, parts, 2);
}

/* `told` is for the client, `why` for the agent's log. */
static int session_refuse_saying(struct session *s, const char *why, const char *told)
{
    const uint32_t code = WIRE_REFUSED_INTERNAL;
    static char ignored[256];
    struct iovec parts[2] = {{(void *)&code, sizeof code}, {(void *)told, strlen(told)}};

    fprintf(stderr, "accelpool-worker[%d] slice %s: %s\n", (int)getpid(), s->params->slice, why);
    if (!secure_shake(s, ignored, sizeof ignored))
        send_frame(s, WIRE_REFUSED, 0, 0, parts, 2);
    return -1;
}

static int session_refuse(struct session *s, const char *why)
{
    return session_refuse_saying(s, why, "the device's library does not start");
}

static int backend_start(struct session *s)
{
    static struct accelpool_backend_host host;
    char text[512];
    int status;

    s->api = api_find(s->params->interface);
    if (!s->api)
        return session_refuse(s, "an interface that this worker does not speak");
    if (vendor_open(s->api, s->params->library, text, sizeof text))
        return session_refuse(s, text);
    host = (struct accelpool_backend_host){
        .version = ACCELPOOL_BACKEND_VERSION,
        .opaque = s,
        .gate_enter = hook_gate_enter,
        .gate_charge = hook_gate_charge,
        .gate_idle = hook_gate_idle,
        .translate = hook_translate,
        .touch = hook_touch,
        .untouch = hook_untouch,
    };
    status = vendor.attach ? vendor.attach(&host) : CU_SUCCESS;
    if (!status)
        status = s->api->start();
    if (!status)
        return 0;
    if (status == WORKER_WITHOUT_MPS)
        return session_refuse_saying(
            s, "the CUDA library does not use the MPS daemon that limits this slice: it has gone, the session's uid does not "
               "reach its pipe directory ([nvidia] mps_directory), or the driver is too old to tell",
            "MPS, which limits the slice, is not reached on its host");
    if (status == WORKER_EXPOSED)
        return session_refuse_saying(
            s, "the session's kernels would reach all memory of its worker (HMM): write \"options nvidia_uvm uvm_disable_hmm=1\" "
               "into a file of /etc/modprobe.d and load nvidia_uvm again, or set [nvidia] host_memory_access = allow",
            "kernels would reach memory of its host that is not theirs (HMM); its operator can turn that off, or allow it");
    snprintf(text, sizeof text, "the device does not start: code %d", status);
    return session_refuse(s, text);
}

int session_open(struct session *s, const struct worker_params *params, int sock, int control)
{
    const int on = 1;
    char why[256] = "out of memory or threads";

    memset(s, 0, sizeof *s);
    s->params = params;
    s->stream.fd = sock;
    s->control_fd = control;
    s->main = pthread_self();
    setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* a unix socket needs and knows no such thing */
    if (secure_open(s, why, sizeof why) || pthread_mutex_init(&s->sender.lock, NULL) || side_open(s) || gate_open(s) ||
        memory_open(s) || modules_open(s) || reader_open(s) || touch_open(s) || copy_out_open(s) || agent_open(s))
        return session_refuse(s, why);
    if (backend_start(s))
        return -1;
    if (meter_open(s))
        return session_refuse(s, "the meter does not start");
    if (sandbox_enter(!vendor.attach))
        return session_refuse(s, "the sandbox does not close");
    if (secure_shake(s, why, sizeof why)) {
        session_end(s, why);
        return -1;
    }
    send_welcome(s);
    if (output_open(s)) {
        session_end(s, "no pipe or thread for what kernels print");
        return -1;
    }
    agent_tell(s, CONTROL_READY, 0, 0, 0);
    return 0;
}

/* --- the stream of calls ----------------------------------------------------------------------------------------- */

static const call_handler FIXED[] = {
    [WIRE_RANGE] = memory_range,
    [WIRE_LEASE] = memory_lease,
    [WIRE_LEASE_RETURN] = memory_lease_return,
    [WIRE_MEMINFO] = memory_info,
    [WIRE_BARRIER] = memory_barrier,
    [WIRE_MODULE_OFFER] = module_offer,
    [WIRE_MODULE_DATA] = module_data,
    [WIRE_MODULE_UNLOAD] = module_unload,
    [WIRE_LINK_CREATE] = link_create,
    [WIRE_LINK_ADD] = link_add,
    [WIRE_LINK_COMPLETE] = link_complete,
    [WIRE_LINK_DESTROY] = link_destroy,
    [WIRE_LAUNCH] = launch,
    [WIRE_COPY_IN] = copy_in,
    [WIRE_COPY_OUT] = copy_out,
    [WIRE_KERNEL_SET] = kernel_set,
    [WIRE_USAGE] = gate_usage,
    [WIRE_GLOBAL] = module_global,
    [WIRE_KERNEL] = kernel_ask,
};

static void session_call(struct session *s, const struct call *call)
{
    const struct generated_call *generated;

    if (call->flags & WIRE_MORE) {
        session_end(s, "a call in pieces");
    } else if (call->opcode < sizeof FIXED / sizeof *FIXED && FIXED[call->opcode]) {
        FIXED[call->opcode](s, call);
    } else if (call->opcode == WIRE_BYE) {
        session_end(s, NULL);
    } else if (call->opcode < WIRE_CALLS) {
        session_end(s, "a frame that has no place here");
    } else if (!(generated = s->api->find(call->opcode))) {
        call_status(s, call, CU_NOT_SUPPORTED); /* a newer client's */
    } else if (generated->blocks && !session_idle()) {
        side_submit(s, call, generated->handler);
    } else {
        generated->handler(s, call);
    }
}

void session_run(struct session *s)
{
    struct call call;

    while (reader_frame(s, &call) == 0)
        session_call(s, &call);
}

void session_close(struct session *s)
{
    session_end(s, NULL);
    agent_close(s);
    gate_flush(s);
    if (side_close(s) || !session_idle()) /* the device is at work, perhaps for ever: the process's end is its end */
        return;
    links_close(s);
    modules_close(s);
    copy_in_close(s);
    copy_out_close(s);
    output_close(s);
    memory_close(s);
    for (int kind = 0; kind < HANDLE_KINDS; kind++)
        handle_drain(s, kind, NULL);
    reader_close(s);
    stream_close(&s->stream);
}

int worker_session(const struct worker_params *params, int sock, int control)
{
    static struct session session;
    const int failed = session_open(&session, params, sock, control);

    if (!failed)
        session_run(&session);
    session_close(&session);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
