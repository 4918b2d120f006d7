/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes over a session's connection: frames, opcodes, payloads, limits. Little-endian, packed; the Python twin of the
 * handshake part is accelpool/remoting/handshake.py. Payloads of vendor calls (opcode 64 and up) are generated from
 * interfaces/<api>.yaml into <api>_wire.h; those that are written by hand stand below.
 */
#ifndef ACCELPOOL_WIRE_H
#define ACCELPOOL_WIRE_H

#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "accelpool's wire format is that of little-endian machines"
#endif

#define WIRE_PACKED __attribute__((packed))

#define WIRE_MAGIC 0x4c504341u /* "ACPL" */
#define WIRE_VERSION 1u
#define WIRE_CHUNK_MAX (1u << 20)                 /* bytes of bulk data in one frame */
#define WIRE_PAYLOAD_MAX (WIRE_CHUNK_MAX + 4096u) /* of any frame */
#define WIRE_INLINE_MAX (64u << 10)               /* a copy to the device up to this size stands in its call frame */
#define WIRE_HANDSHAKE_MAX 4096u                  /* bytes from an unauthenticated peer, in total */
#define WIRE_HANDSHAKE_SECONDS 5
#define WIRE_NONCE 32u
#define WIRE_KEY 32u

/* --- frame ------------------------------------------------------------------------------------------------------ */

enum wire_flags {
    WIRE_WANT_REPLY = 1, /* the caller waits */
    WIRE_REPLY = 2,      /* answers the frame with this sequence */
    WIRE_MORE = 4,       /* another chunk of the same answer follows */
};

/*
 * After the handshake the client numbers its frames 1, 2, 3 ... without gaps. A reply has its call's sequence; frames that
 * the worker sends of its own accord (ACK, RECALL, OUTPUT, BYE) have 0.
 */
struct wire_header {
    uint32_t length; /* of the payload */
    uint16_t opcode;
    uint16_t flags;
    uint64_t sequence;
} WIRE_PACKED;

enum wire_opcode {
    WIRE_HELLO = 1,     /* client -> agent: struct wire_hello, claims */
    WIRE_CHALLENGE = 2, /* agent -> client: struct wire_challenge */
    WIRE_PROOF = 3,     /* client -> agent: struct wire_proof; then nothing until SECURE or WELCOME */
    WIRE_WELCOME = 4,   /* worker -> client: struct wire_welcome, struct wire_snapshot (agent, holder: empty) */
    WIRE_REFUSED = 5,   /* agent -> client: struct wire_refused, text; then the end */
    WIRE_ACK = 6,       /* worker -> client: struct wire_ack */
    WIRE_RECALL = 7,    /* worker -> client: struct wire_recall; answered by LEASE_RETURN */
    WIRE_BYE = 8,       /* either: the session ends, nothing follows */
    WIRE_RANGE = 9,     /* struct wire_range; waits; struct wire_range_reply */
    WIRE_LEASE = 10,    /* struct wire_lease; waits; struct wire_lease_reply */
    WIRE_LEASE_RETURN = 11, /* struct wire_lease_return */
    WIRE_MEMINFO = 12,  /* empty; waits; struct wire_meminfo_reply */
    WIRE_DATA = 13,     /* bytes of the copy or module whose call frame stands right before */
    WIRE_BARRIER = 14,  /* empty: the device is idle before the next frame is looked at */
    WIRE_MODULE_OFFER = 15,  /* struct wire_module_call; waits; struct wire_module_reply (known 0: upload it) */
    WIRE_MODULE_DATA = 16,   /* struct wire_module_call, then DATA frames; waits; struct wire_module_reply */
    WIRE_MODULE_UNLOAD = 17, /* struct wire_module_unload */
    WIRE_LINK_CREATE = 18,   /* struct wire_link_create, options */
    WIRE_LINK_ADD = 19,      /* struct wire_link_add, name, then DATA frames; waits; struct wire_link_reply, log */
    WIRE_LINK_COMPLETE = 20, /* struct wire_link_handle; waits; struct wire_link_reply, log, then MORE replies: image */
    WIRE_LINK_DESTROY = 21,  /* struct wire_link_handle */
    WIRE_LAUNCH = 22,        /* struct wire_launch, attributes, parameter bytes */
    WIRE_COPY_IN = 23,       /* struct wire_copy_in, then the bytes: inline up to WIRE_INLINE_MAX, else DATA frames */
    WIRE_COPY_OUT = 24,      /* struct wire_copy_out; waits; replies of {wire_reply, bytes}, all but the last with MORE */
    WIRE_KERNEL_SET = 25,    /* struct wire_kernel_set: a kernel attribute */
    WIRE_SECURE = 26,        /* agent -> client, after PROOF: empty; what follows in both directions is TLS */
    WIRE_ROUTE = 27,         /* client -> its own agent, instead of HELLO: a ticket; the agent connects it onwards */
    WIRE_ROUTED = 28,        /* agent -> client: empty, perhaps with a descriptor; the next byte is from the other agent */
    WIRE_USAGE = 29,         /* empty; waits; struct wire_usage_reply */
    WIRE_RENEWED = 30,       /* agent -> client that came for it: masked K, proof, claims (handshake.py); then the end */
    WIRE_GLOBAL = 31,        /* struct wire_global_find, name; waits; struct wire_global_reply: not in the module's table */
    WIRE_KERNEL = 32,        /* struct wire_kernel_ask; waits; struct wire_kernel_reply: what the module's table did not tell */
    WIRE_OUTPUT = 33,        /* worker -> client: bytes that kernels have printed, before the answer that was waited for */
    WIRE_CALLS = 64,         /* generated calls start here */
};

/* --- handshake -------------------------------------------------------------------------------------------------- */

enum wire_kind {
    WIRE_KIND_SESSION = 1,
    WIRE_KIND_HOLDER = 2,
    WIRE_KIND_RENEWAL = 3, /* of a session's credential */
};

struct wire_hello {
    uint32_t magic;
    uint16_t version_min, version_max;
    uint16_t kind; /* enum wire_kind */
    uint16_t claims_length;
    uint8_t nonce[WIRE_NONCE];
} WIRE_PACKED;

/* What carries the session after PROOF; the agent says it, and the proofs cover it. */
enum wire_transport {
    WIRE_PLAIN = 0,           /* the socket as it is: unix sockets and 127.0.0.0/8 only */
    WIRE_TLS_PSK = 1,         /* TLS 1.3 with the pre-shared key HMAC(K, "tls" | nonce_c | nonce_a) */
    WIRE_TLS_CERTIFICATE = 2, /* TLS 1.3 with certificates on both ends; that key confirms them */
};

struct wire_challenge {
    uint16_t version, zero16;
    uint32_t transport; /* enum wire_transport */
    uint8_t nonce[WIRE_NONCE];
    uint8_t proof[WIRE_KEY]; /* HMAC(K, "agent" | transport | nonce_c | nonce_a) */
} WIRE_PACKED;

struct wire_proof {
    uint8_t proof[WIRE_KEY]; /* HMAC(K, "client" | transport | nonce_c | nonce_a) */
} WIRE_PACKED;

enum wire_refusal {
    WIRE_REFUSED_CREDENTIAL = 1,
    WIRE_REFUSED_EXPIRED = 2,
    WIRE_REFUSED_REVOKED = 3,
    WIRE_REFUSED_VERSION = 4,
    WIRE_REFUSED_BUSY = 5,
    WIRE_REFUSED_MALFORMED = 6,
    WIRE_REFUSED_INTERNAL = 7,
};

struct wire_refused {
    uint32_t code; /* enum wire_refusal; utf-8 text follows */
} WIRE_PACKED;

struct wire_welcome {
    uint16_t version, zero16;
    uint32_t window_bytes;     /* that the client may have sent and not seen acknowledged */
    uint64_t memory_limit;     /* bytes, of the slice */
    uint64_t granule;          /* bytes; power of two: the unit of mapping */
    uint64_t range_size;       /* bytes of address space to agree on by RANGE */
    uint32_t snapshot_length;
    uint32_t zero32;
} WIRE_PACKED;

#define WIRE_ATTRIBUTES 192 /* CUdevice_attribute 0 .. 191; the highest public one is below */
#define WIRE_ATTRIBUTE_NONE INT32_MIN

/* What the vendor library says about the device: answered by the client without asking again. */
struct wire_snapshot {
    int32_t driver_version;
    int32_t priority_least, priority_greatest; /* cuCtxGetStreamPriorityRange */
    uint32_t zero32;
    char name[256];      /* NUL-terminated */
    char pci_bus_id[32]; /* NUL-terminated */
    uint8_t uuid[16];
    int32_t attributes[WIRE_ATTRIBUTES]; /* WIRE_ATTRIBUTE_NONE: the vendor does not know it */
} WIRE_PACKED;

/* --- the session itself ----------------------------------------------------------------------------------------- */

/* Every reply starts with it. sticky: first failure of a call without reply that no frame has carried yet; 0: none. */
struct wire_reply {
    int32_t status; /* CUresult */
    int32_t sticky; /* CUresult */
} WIRE_PACKED;

struct wire_ack {
    uint64_t done_seq; /* every frame up to this one has been handled */
    int32_t sticky;
    uint32_t zero32;
} WIRE_PACKED;

struct wire_recall {
    uint64_t bytes;  /* wanted */
    uint64_t number; /* 1, 2, 3 ...: the LEASE_RETURN that answers it says this */
} WIRE_PACKED;

#define WIRE_RANGE_MIN (UINT64_C(64) << 30)

struct wire_range {
    uint64_t base; /* 0: wherever the vendor's library likes */
    uint64_t size; /* WELCOME's range_size, or a half, a quarter ... of it: WIRE_RANGE_MIN and the slice's memory at least */
} WIRE_PACKED;

struct wire_range_reply {
    struct wire_reply reply;
    uint64_t base; /* another one than was asked for where the vendor's library always chooses itself */
} WIRE_PACKED;

/*
 * need = bytes to add to the lease or fail; extra = more, if the ledger has it. [address, address + length): granules to
 * map; those that are mapped already stay as they are. length 0: bytes only.
 */
struct wire_lease {
    uint64_t address, length, need, extra;
} WIRE_PACKED;

struct wire_lease_reply {
    struct wire_reply reply; /* 2 = CUDA_ERROR_OUT_OF_MEMORY: nothing was granted or mapped */
    uint64_t granted;        /* need <= granted <= need + extra */
    uint64_t address, length; /* mapped now, at least what was asked for */
} WIRE_PACKED;

/*
 * Unmaps the mapped granules of [address, address + length) (0: none) when the device has done with them; gives bytes back.
 * What the worker has mapped together, inside one lease, goes when all of it is in the range.
 */
struct wire_lease_return {
    uint64_t address, length, bytes;
    uint64_t recall; /* this is all that was unused when the RECALL of that number came; 0: given back unasked */
} WIRE_PACKED;

struct wire_meminfo_reply {
    struct wire_reply reply;
    uint64_t free, total; /* of the slice; free leaves this session's unused lease out */
} WIRE_PACKED;

struct wire_usage_reply {
    struct wire_reply reply;
    uint64_t percent; /* of the device's time, by all sessions of the slice, lately */
} WIRE_PACKED;

/* --- copies ----------------------------------------------------------------------------------------------------- */

/* stream: client handle, or 0, 1, 2 for the default, legacy and per-thread streams. */
struct wire_copy_in {
    uint64_t destination, bytes, stream;
} WIRE_PACKED;

struct wire_copy_out {
    uint64_t source, bytes, stream;
} WIRE_PACKED;

/* --- modules ---------------------------------------------------------------------------------------------------- */

enum wire_image {
    WIRE_IMAGE_PTX = 1,    /* text, NUL at its end included in length */
    WIRE_IMAGE_CUBIN = 2,  /* ELF */
    WIRE_IMAGE_FATBIN = 3, /* fat binary with its header (magic 0xba55ed50) */
    WIRE_IMAGE_BINARY = 4, /* AscendCL's: whatever the program loads; its functions are asked for one by one */
};

enum wire_module_flags {
    WIRE_MODULE_LIBRARY = 1,  /* came by cuLibraryLoadData; 0: cuModuleLoadData */
    WIRE_MODULE_LATER = 2,    /* the client asks for a kernel that the table only names (KERNEL) before it is launched */
};

/* An option that is a number: CUjit_option and its value. Buffers stay with the client. */
struct wire_jit_option {
    uint32_t option, value;
} WIRE_PACKED;
#define WIRE_JIT_OPTIONS 16

/* Module handles are 1 .. 2^20-1, chosen by the client. The same for OFFER and DATA. */
struct wire_module_call {
    uint32_t module;
    uint32_t image;  /* enum wire_image */
    uint64_t length; /* of the image, at most WIRE_MODULE_MAX */
    uint8_t sha256[32];
    uint32_t flags;        /* enum wire_module_flags */
    uint32_t option_count; /* at most WIRE_JIT_OPTIONS */
    struct wire_jit_option options[WIRE_JIT_OPTIONS]; /* unused ones are 0 */
} WIRE_PACKED;
#define WIRE_MODULE_MAX (1ull << 31)

/*
 * Followed, when known is 1 and status 0, by kernel_count times {struct wire_kernel, parameter_count times struct
 * wire_parameter, name with NUL}, then global_count times {struct wire_global, name with NUL}; then always the log. All
 * of it in one frame, or in several with MORE that each start with a struct wire_reply and whose remainders are joined
 * behind the struct wire_module_reply of the first.
 */
struct wire_module_reply {
    struct wire_reply reply;
    uint32_t known; /* OFFER: 0 = send MODULE_DATA (status is 0 then); DATA: 1 */
    uint32_t kernel_count, global_count;
    uint32_t log_length; /* compiler diagnostics, no NUL */
    uint64_t body_length; /* everything behind this struct, over all frames */
} WIRE_PACKED;

#define WIRE_FUNCTION_ATTRIBUTES 16 /* CUfunction_attribute 0 .. 15 */

/* Kernels are numbered from 0 in this order; a launch names {module, kernel}. */
struct wire_kernel {
    uint32_t name_length;     /* with NUL */
    uint32_t parameter_count; /* UINT32_MAX: the vendor library cannot say; WIRE_KERNEL_LATER: to be asked for */
    int32_t attributes[WIRE_FUNCTION_ATTRIBUTES]; /* WIRE_ATTRIBUTE_NONE: not known */
} WIRE_PACKED;

#define WIRE_KERNEL_LATER (UINT32_MAX - 1) /* only the name follows, and the attributes are not known */

struct wire_parameter {
    uint32_t offset, size;
} WIRE_PACKED;

struct wire_global {
    uint64_t address, size; /* valid for copies as long as the module is loaded */
    uint32_t name_length;   /* with NUL */
    uint32_t zero32;
} WIRE_PACKED;

struct wire_kernel_ask {
    uint32_t module, kernel;
} WIRE_PACKED;

/* Followed by parameter_count times struct wire_parameter, unless that is UINT32_MAX. */
struct wire_kernel_reply {
    struct wire_reply reply; /* 2 = CUDA_ERROR_OUT_OF_MEMORY: its local memory does not fit into the slice */
    struct wire_kernel kernel; /* name_length 0 */
} WIRE_PACKED;

struct wire_global_find {
    uint32_t module;
    uint32_t name_length; /* with NUL; the name follows this struct */
} WIRE_PACKED;

struct wire_global_reply {
    struct wire_reply reply;
    uint64_t address, size; /* as in wire_global */
} WIRE_PACKED;

struct wire_module_unload {
    uint32_t module, zero32;
} WIRE_PACKED;

/* Link states have handles of their own, 1 .. 2^20-1. Options follow: option_count times struct wire_jit_option. */
struct wire_link_create {
    uint32_t link;
    uint32_t option_count;
} WIRE_PACKED;

struct wire_link_add {
    uint32_t link;
    uint32_t input;       /* CUjitInputType */
    uint64_t length;      /* of the data, in DATA frames */
    uint32_t name_length; /* with NUL; the name follows this struct */
    uint32_t zero32;
} WIRE_PACKED;

struct wire_link_handle {
    uint32_t link, zero32;
} WIRE_PACKED;

/*
 * LINK_COMPLETE: image_length bytes come behind the log. One frame, or several with MORE, joined as those of
 * wire_module_reply; body_length = log_length + image_length. The image stays with the client.
 */
struct wire_link_reply {
    struct wire_reply reply;
    uint32_t log_length, zero32;
    uint64_t body_length;
} WIRE_PACKED;

/* --- launches --------------------------------------------------------------------------------------------------- */

#define WIRE_LAUNCH_ATTRIBUTES 16
#define WIRE_LAUNCH_PARAMETERS (32u << 10) /* bytes; the vendor's limit is 32764 */

/* Followed by attribute_count times struct wire_launch_attribute and parameter_bytes bytes. */
struct wire_launch {
    uint32_t module, kernel;
    uint32_t grid[3], block[3];
    uint32_t shared_bytes;
    uint32_t attribute_count;
    uint32_t parameter_bytes;
    uint32_t zero32;
    uint64_t stream;
} WIRE_PACKED;

/* CUlaunchAttribute; only those whose value holds no pointer or handle are sent. */
struct wire_launch_attribute {
    uint32_t id, zero32;
    uint8_t value[64];
} WIRE_PACKED;

struct wire_kernel_set {
    uint32_t module, kernel;
    int32_t attribute, value;
} WIRE_PACKED;

_Static_assert(sizeof(struct wire_header) == 16, "frame header");
_Static_assert(sizeof(struct wire_hello) == 44, "HELLO");
_Static_assert(sizeof(struct wire_challenge) == 72, "CHALLENGE");
_Static_assert(sizeof(struct wire_welcome) == 40, "WELCOME");
_Static_assert(sizeof(struct wire_snapshot) == 16 + 256 + 32 + 16 + 4 * WIRE_ATTRIBUTES, "snapshot");
_Static_assert(sizeof(struct wire_ack) == 16, "ACK");
_Static_assert(sizeof(struct wire_lease) == 32, "LEASE");
_Static_assert(sizeof(struct wire_lease_reply) == 32, "LEASE reply");
_Static_assert(sizeof(struct wire_module_call) == 56 + 8 * WIRE_JIT_OPTIONS, "MODULE");
_Static_assert(sizeof(struct wire_module_reply) == 32, "MODULE reply");
_Static_assert(sizeof(struct wire_kernel) == 72, "kernel");
_Static_assert(sizeof(struct wire_launch) == 56, "LAUNCH");
_Static_assert(sizeof(struct wire_launch_attribute) == 72, "launch attribute");

#endif
