/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside view of the emulated CUDA device: what the files of this library share.
 *
 * One process has one emulated device. Lock order: context.c's api lock, then memory.c's lock, then the engine's,
 * then the handle table's. Nobody waits for the engine while holding the api or the memory lock.
 */
#ifndef ACCELPOOL_EMU_H
#define ACCELPOOL_EMU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "backend.h"
#include "cuda_abi.h"

#define API __attribute__((visibility("default")))
#define DRIVER_VERSION 13000
#define PAGE_SHIFT 16 /* granule of the page state table: 64 KiB */
#define PAGE_BYTES ((uint64_t)1 << PAGE_SHIFT)
#define ADDRESS_BITS 47
#define GRANULE ((uint64_t)2 << 20) /* what cuMemGetAllocationGranularity says */
#define KERNEL_WINDOWS_END 0x05000000ull /* kernel.h: addresses below are shared, local and parameter windows */
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        CUresult try_status = (call);                                                                                  \
        if (try_status != CUDA_SUCCESS)                                                                                \
            return try_status;                                                                                         \
    } while (0)

/* ---- handles.c: numbers that programs hold; a stale or invented one is found out, never dereferenced ---- */
enum handle_kind {
    HANDLE_CONTEXT = 1,
    HANDLE_STREAM,
    HANDLE_EVENT,
    HANDLE_MODULE,
    HANDLE_FUNCTION,
    HANDLE_LIBRARY,
    HANDLE_KERNEL,
    HANDLE_LINK,
    HANDLE_MEMORY,
    HANDLE_POOL,
};
uint64_t handle_new(enum handle_kind kind, void *object); /* 0: out of memory */
void *handle_object(enum handle_kind kind, uint64_t handle);
void handle_drop(uint64_t handle);

/* ---- device.c ---- */
struct device {
    char name[256];
    unsigned char uuid[16];
    uint64_t total_bytes;
    int major, minor, multiprocessors;
    int pci_domain, pci_bus, pci_slot;
    int clock_khz;
    int shared_per_block, shared_optin, shared_per_multiprocessor;
    int threads_per_multiprocessor, blocks_per_multiprocessor;
    int pageable_access;
};
extern struct device emu_device;
void device_describe(void); /* reads ACCELPOOL_EMU_DEVICE */
CUresult device_check(CUdevice device);
int device_attribute(int attribute, int *value); /* 0: known */

/* ---- context.c ---- */
struct module;
struct stream;
struct context {
    CUcontext handle;
    bool primary;
    bool alive; /* a primary context lives from the first retain to the last release */
    unsigned flags;
    unsigned primary_references;
    unsigned long long id;
    _Atomic int error; /* sticky: the code of the first asynchronous failure */
    _Atomic uint64_t sequence;
    _Atomic int ordered_streams; /* how many streams wait for the legacy stream and it for them */
    struct stream *legacy;
    struct module *modules;
    size_t limits[CU_LIMIT_MAX];
    int cache_config, shared_config;
};
extern const struct accelpool_backend_host *emu_host; /* NULL: stand-alone */
void api_lock(void);
void api_unlock(void);
CUresult initialised(void);
CUresult context_current(struct context **context);   /* the calling thread's, alive, sticky error not looked at */
CUresult context_enter(struct context **context);     /* the same, and its sticky error is the answer */
CUresult context_find(CUcontext handle, struct context **context); /* NULL: the current one */

/* ---- memory.c: page states, commitment, virtual address management; ranges.c: who owns which addresses ---- */
enum range_kind { RANGE_RESERVED, RANGE_MAPPED, RANGE_ALLOCATED, RANGE_HOST, RANGE_REGISTERED };
struct physical;
struct chunk;
struct range {
    uint64_t base, size;
    enum range_kind kind;
    bool accessible;
    unsigned host_flags;
    unsigned long long id;
    struct context *context;
    struct physical *physical;
    struct chunk *chunk;
    struct range *left, *right;
    uint32_t priority;
};
struct range *range_at(struct range *root, uint64_t address); /* the range that holds address, or NULL */
struct range *range_next(struct range *root, uint64_t address); /* lowest range with base >= address */
void range_insert(struct range **root, struct range *range);
void range_remove(struct range **root, struct range *range);

extern uint8_t *page_state; /* [address >> 16]: 0 unmapped, 1 mapped and untouched, 2 committed */
extern struct range *memory_reservations, *memory_blocks; /* memory lock */
CUresult memory_start(void);
void memory_lock(void);
void memory_unlock(void);
CUresult memory_commit(uint64_t address, uint64_t size); /* pays for untouched pages */
CUresult memory_write(uint64_t to, const void *from, uint64_t size);
CUresult memory_read(void *to, uint64_t from, uint64_t size);
CUresult memory_copy(uint64_t to, uint64_t from, uint64_t size);
CUresult memory_fill(uint64_t to, uint32_t value, unsigned width, uint64_t count);
bool memory_covers(uint64_t address, uint64_t size); /* all of it belongs to the device (or to pinned host memory) */
bool memory_is_device(uint64_t address);
bool memory_is_pinned(const void *pointer, uint64_t size);
bool memory_charge(uint64_t size); /* device memory: total_bytes bounds it */
void memory_discharge(uint64_t size);
uint64_t memory_free_bytes(void);
/* Pages of [base, base+size) become usable (state) or unusable, giving back what was committed. */
void pages_open(uint64_t base, uint64_t size, uint8_t state);
void pages_close(uint64_t base, uint64_t size);
uint64_t address_space_take(uint64_t size, uint64_t alignment, uint64_t at); /* PROT_NONE; 0: none */
/* ---- virtual_memory.c: a mapped granule gets a number that physical_adopt() of another process knows. No work of the
   device nor copy runs meanwhile. ---- */
CUresult physical_share(CUmemGenericAllocationHandle handle, uint64_t *number);
CUresult physical_adopt(uint64_t number, CUmemGenericAllocationHandle *handle);

/* ---- allocation.c ---- */
CUresult allocation_new(struct context *context, uint64_t size, CUdeviceptr *address);
CUresult allocation_free(CUdeviceptr address);
void allocation_free_all(struct context *context);

/* ---- engine.c: the thread that executes ---- */
#define INLINE_PARAMS 128
#define RING_SIZE 1024u
struct function;
struct kernel_run;
struct shared_cell;
struct record { /* one recording of an event */
    _Atomic int references;
    _Atomic int done;
    uint64_t time_ns;
    struct shared_cell *cell; /* engine lock: where other processes look, NULL: nobody does; and this one's number there */
    uint64_t number;
};
enum work_kind { WORK_KERNEL, WORK_COPY, WORK_FILL, WORK_RECORD, WORK_WAIT, WORK_HOST, WORK_CALLBACK, WORK_FREE,
                 WORK_TASK };
struct plane { /* rows to copy or fill, and how far it has come */
    uint64_t to, from; /* addresses, of the device or the host */
    uint64_t width, height, depth; /* bytes, rows, slices */
    uint64_t to_pitch, from_pitch, to_slice, from_slice;
    uint64_t x, y, z;
    void *staged; /* a copied source that this item owns */
    bool to_device, from_device;
    uint8_t element; /* fill: bytes of the value, else 0 */
    uint32_t value;
};
struct task { /* device work that is neither a PTX kernel nor a copy; owned by whoever submits it */
    /* Runs for about budget_ns on the engine thread. 0: there is more to do, 1: done, negative: minus the failure's code. */
    int (*step)(struct task *task, uint64_t budget_ns);
    void (*release)(struct task *task); /* when it is done, has failed or was dropped */
};
struct work {
    uint64_t sequence;
    enum work_kind kind;
    _Atomic int host_state; /* host functions: 0 waiting, 1 given to the callback thread, 2 returned */
    union {
        struct {
            struct function *function;
            uint32_t grid[3], block[3], shared, resident;
            uint8_t *parameters; /* NULL: inside */
            CUdeviceptr workspace; /* of a cooperative launch: where its blocks meet; else 0 */
            uint8_t inside[INLINE_PARAMS];
        } kernel;
        struct plane plane;
        struct record *record;
        struct {
            CUhostFn function;
            CUstreamCallback callback;
            void *data;
        } host;
        CUdeviceptr address;
        struct task *task;
    };
};
struct stream {
    CUstream handle; /* NULL: the legacy stream */
    struct context *context;
    unsigned flags;
    int priority;
    unsigned long long id;
    bool legacy, destroyed;
    int pins; /* engine lock: threads that wait for it while walking the list */
    pthread_mutex_t producer;
    struct work *ring;
    struct kernel_run *run; /* engine thread: the kernel at the head has begun */
    struct stream *next, *previous, *next_host;
    _Alignas(64) _Atomic uint64_t submitted;
    _Alignas(64) _Atomic uint64_t completed;
    _Atomic uint64_t awaited;
};
CUresult engine_start(void);
CUresult stream_new(struct context *context, unsigned flags, int priority, bool legacy, struct stream **stream);
void stream_retire(struct stream *stream);       /* freed when its work is done */
void streams_retire(struct context *context);    /* all of a context that has drained */
struct work *work_begin(struct stream *stream);  /* a free slot; the stream stays locked until work_submit */
void work_submit(struct stream *stream);
/* Host memory for queued work; NULL: too much is queued already, so wait for the stream. */
void *staging_new(size_t size);
void staging_free(void *data);
bool stream_empty(struct stream *stream);
bool stream_idle(struct stream *stream);         /* nothing of its own nor anything that it has to wait for */
void stream_wait(struct stream *stream, uint64_t position);
CUresult stream_drain(struct stream *stream);    /* waits for all work so far; the context's sticky error */
CUresult stream_settle(struct stream *stream);   /* the same, and for all that new work of it would have to wait for */
void context_drain(struct context *context);
void device_drain(void);
bool device_idle(void);
struct record *record_new(void);
void record_finish(struct record *record);       /* stamps the time and lets waiters go on */
void record_release(struct record *record);
void record_wait(struct record *record);
uint64_t device_time_ns(void);
/* Copies or fills at most limit bytes more; *done when nothing is left. */
CUresult plane_step(struct plane *plane, uint64_t limit, bool *done);

/* ---- stream.c, event.c ---- */
CUresult event_new(CUevent *handle, unsigned flags);               /* CU_EVENT_INTERPROCESS: other processes may open it */
CUresult event_time(CUevent handle, uint64_t *ns); /* of its last recording; NOT_FOUND: none, NOT_READY: not done yet */
CUresult event_share(CUevent handle, uint64_t *number);            /* what it is called on this host */
CUresult event_adopt(uint64_t number, CUevent *handle);            /* another process's: to wait for, not to record */
CUresult stream_find(CUstream handle, struct stream **stream); /* default streams too; sticky error is the answer */
CUstream stream_or_per_thread(CUstream handle);

/* ---- image.c (what a program hands in), translate.c (PTX -> shared object), shared_object.c (opened once) ---- */
struct jit_log { /* where the caller of a load wants the compiler's words */
    char *error, *info;
    size_t error_size, info_size;
    void **error_used, **info_used;
};
CUresult jit_options(unsigned count, const int *options, void **values, struct jit_log *log);
void jit_log_write(const struct jit_log *log, const char *text);
CUresult image_text(const void *image, size_t size, char **ptx, const struct jit_log *log); /* size 0: unknown */
CUresult translate(const char *ptx, size_t length, int *fd, char *log, size_t log_size);

struct kernel_module;
struct kernel_function;
struct image { /* one translated shared object */
    unsigned references;
    unsigned long long stamp; /* of the last use */
    uint64_t hash;
    char *ptx;
    int fd;
    void *library;
    const struct kernel_module *module;
    struct image *next;
};
CUresult image_open(const char *ptx, const struct jit_log *log, struct image **image); /* no lock held */
void image_close(struct image *image); /* api lock held */

/* ---- module.c, library.c, function.c ---- */
struct settings { /* what a program may set on a function */
    int max_dynamic_shared, carveout, cache_config;
};
struct function {
    CUfunction handle;
    const struct kernel_function *entry;
    struct module *module;
    struct settings settings;
};
struct library;
struct module {
    CUmodule handle;
    struct context *context;
    struct image *image;
    struct library *library; /* NULL: loaded by cuModuleLoad... */
    CUdeviceptr *globals;
    struct function *functions;
    struct module *next, *next_of_library;
};
CUresult module_new(struct context *context, struct image *image, struct module **module); /* takes the reference */
void module_free(struct module *module); /* api lock held; its work is done */
CUresult module_global(const struct module *module, const char *name, CUdeviceptr *address, size_t *size);
CUresult image_load(const void *image, unsigned count, const int *options, void **values, struct image **result);
CUresult file_read(const char *name, void **data, size_t *size);
CUresult function_find(CUfunction handle, struct context *context, struct function **function);
CUresult function_attribute(const struct kernel_function *entry, const struct settings *settings, int attribute,
                            int *value);
CUresult function_set(const struct kernel_function *entry, struct settings *settings, int attribute, int value);
CUresult library_function(uint64_t kernel, struct context *context, struct function **function);
void library_forget(struct module *module); /* api lock held: a library's module goes */
CUresult occupancy(const struct kernel_function *entry, int block_size, size_t dynamic_shared, int *blocks);

#endif
