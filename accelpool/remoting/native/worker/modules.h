/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside view of modules: images.c keeps content, module_table.c describes a module, globals.c has its variables, kernels.c its
 * kernels, modules.c loads and unloads.
 */
#ifndef ACCELPOOL_WORKER_MODULES_H
#define ACCELPOOL_WORKER_MODULES_H

#include "jit.h"
#include "state.h"
#include "variables.h"

struct module_kernel {
    void *vendor;
    _Atomic(void *) function; /* NULL: the client has not asked for it */
    uint32_t parameter_bytes; /* UINT32_MAX: unknown; set before function is */
};

struct kernel_facts {
    void *function;
    uint32_t parameter_bytes;
    uint64_t local; /* bytes of local memory of a thread */
};

struct module {
    struct module *next;
    atomic_uint references;
    int is_library;
    void *vendor;
    uint64_t charged; /* bytes of variables */
    uint64_t taken;   /* bytes of everything else, as account_take() has them */
    uint64_t local;   /* bytes of local memory of a thread of the kernel that needs most */
    uint64_t told;    /* bytes of variables, as far as the vendor told */
    uint32_t kernel_count, global_count;
    struct module_kernel *kernels;
    struct wire_global *globals;
};

/* Bytes from DATA frames; one NUL stands behind them. */
struct image {
    uint8_t sha256[32];
    uint32_t kind; /* enum wire_image */
    uint64_t length;
    unsigned references;
    struct image *next;
    uint8_t *bytes;
};

/* cuCtxSetLimit: what the context started with, and bytes that are paid for what came on top of it. */
struct limit {
    int known;
    uint64_t initial, paid;
};
#define MODULE_LIMITS 5 /* CUlimit 0 .. 4 take memory */

struct modules {
    pthread_mutex_t limits_lock; /* the limits; side threads only, for the agent is asked with it */
    struct limit limits[MODULE_LIMITS];
    pthread_mutex_t lock; /* everything else here, and references of images */
    struct module *loaded;
    struct image *images;
    uint64_t image_bytes;
};

/* Takes DATA frames. NULL: *status is a CUresult, or -1 when the session has ended. */
struct image *image_receive(struct session *s, uint64_t length, int *status);
/* What has this SHA-256, with a reference, or NULL. */
struct image *image_find(struct session *s, const struct wire_module_call *wire);
/* Keeps it for later offers; the oldest ones go when it gets too much. */
void image_keep(struct session *s, struct image *image);
void image_release(struct session *s, struct image *image);
void images_close(struct modules *modules);

#define CONTENT_MAX (UINT64_C(16) << 20) /* bytes of an image that the agent keeps; agent/content.py has the same */
/* What the agent has of the project's earlier sessions, with a reference, or NULL. */
struct image *content_find(struct session *s, const struct wire_module_call *wire);
void content_keep(struct session *s, const struct image *image);

/*
 * Fills the module's kernels and appends their wire_kernel entries to table; later: a module with many of them names them only,
 * for a driver loads a kernel that it is asked about. A CUresult, as the others.
 */
int table_kernels(struct module *module, uint32_t later, struct bytes *table);
/* Asks the vendor about one kernel, and appends its wire_kernel without a name, and its parameters, to table. */
int kernel_describe(const struct module *module, const struct module_kernel *kernel, struct kernel_facts *facts,
                    struct bytes *table);
/* From now on it can be launched. */
void kernel_publish(struct module_kernel *kernel, const struct kernel_facts *facts);
/* Names and sizes of an image's variables, before it is loaded. */
int image_variables(const struct image *image, struct variables *found);
/* What the vendor says of one variable. */
int module_variable(const struct module *module, const char *name, struct wire_global *variable);
/* Fills the module's variables from their names and appends their wire_global entries to table; told: their bytes. */
int table_variables(struct module *module, const struct bytes *names, struct bytes *table, uint64_t *told);

/* Ends the use of a module that was loaded; any thread that holds none of the locks. */
void module_release(struct session *s, struct module *module);
/* The module's variables take that many bytes, at least: pays for what is not paid yet. A CUresult. */
int module_pay(struct session *s, struct module *module, uint64_t size);

/* With the limits' lock: pays for local memory of a kernel. */
int limits_kernel(struct session *s, struct module *module, uint64_t local);
/* Pays for local memory of the module's kernels, and puts it among those that are loaded. A CUresult. */
int limits_loaded(struct session *s, struct module *module);

/* One answer from {head, body}, in as many frames as it takes; head stands behind the struct wire_reply. */
void send_joined(struct session *s, const struct call *call, int32_t status, const void *head, size_t head_length,
                 const struct bytes *body);

#endif
