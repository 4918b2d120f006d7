/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What processes share lies in memory files, one for each process that shares anything: granules of device memory, and
 * counters of events. A number names either on this host: the file's own number, and a generation, so that a place that was
 * given back and taken again is not mistaken for the old one. The first granule of the file counts, for each place, how many
 * handles of any process refer to it; the last one to go gives the memory back.
 */
#include "shared_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"

#define GRANULES 65535u
#define EVENTS 16384u
#define MAGIC "accelpool-share"
#define SEALS (F_SEAL_SHRINK | F_SEAL_SEAL)
#define POLL_NS 200000

struct place {
    _Atomic uint16_t generation;
    _Atomic uint32_t references;
};

struct shared_cell {
    struct place place;
    _Atomic uint64_t recorded, reached; /* never smaller than before, whoever has the cell */
};

struct header {
    char magic[sizeof MAGIC];
    uint32_t id;
    pthread_mutex_t alive; /* robust; a thread of the process that made the file holds it as long as that lives */
    struct place granules[GRANULES];
    struct shared_cell events[EVENTS];
};
_Static_assert(sizeof(struct header) <= GRANULE, "the header fits its granule");

struct shared_file {
    struct shared_file *next;
    struct header *header;
    int fd;
    unsigned uses; /* of an adopted one: granules and events that this process has */
};

static struct shared_file *own, *adopted; /* memory lock */

static bool place_take(struct place *place) {
    if (atomic_load(&place->references))
        return false;
    atomic_fetch_add(&place->generation, 1);
    atomic_store(&place->references, 1);
    return true;
}

/* true: that was the last reference. */
static bool place_leave(struct place *place) {
    return atomic_fetch_sub(&place->references, 1) == 1;
}

/* false: it is gone, and its last reference must not come back. */
static bool place_join(struct place *place, uint16_t generation) {
    uint32_t references = atomic_load(&place->references);
    do
        if (!references)
            return false;
    while (!atomic_compare_exchange_weak(&place->references, &references, references + 1));
    if (atomic_load(&place->generation) == generation)
        return true;
    place_leave(place);
    return false;
}

static uint64_t number_of(const struct shared_file *file, const struct place *place, uint64_t index) {
    return (uint64_t)file->header->id << 32 | (uint64_t)atomic_load(&place->generation) << 16 | index;
}

/* --- files: the memory lock is held -------------------------------------------------------------------------------- */

static struct header *header_map(int fd) {
    void *header = mmap(NULL, GRANULE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return header == MAP_FAILED ? NULL : header;
}

/* Says by its life that the process lives: whoever gets the lock knows that it does not. */
static void *live(void *opaque) {
    struct header *header = opaque;
    pthread_mutex_lock(&header->alive);
    for (;;)
        poll(NULL, 0, -1);
    return NULL;
}

static bool start_life(struct header *header) {
    pthread_mutexattr_t attributes;
    pthread_t thread;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    bool made = !pthread_mutex_init(&header->alive, &attributes) && !pthread_create(&thread, NULL, live, header);
    pthread_mutexattr_destroy(&attributes);
    if (made)
        pthread_detach(thread);
    while (made && !pthread_mutex_trylock(&header->alive)) { /* not there yet */
        pthread_mutex_unlock(&header->alive);
        sched_yield();
    }
    return made;
}

static struct shared_file *own_file(void) {
    if (own)
        return own;
    struct shared_file *file = calloc(1, sizeof *file);
    if (!file)
        return NULL;
    file->fd = memfd_create("accelpool-share", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file->fd < 0 || ftruncate(file->fd, (off_t)GRANULE) || fcntl(file->fd, F_ADD_SEALS, SEALS) ||
        !(file->header = header_map(file->fd)) || !start_life(file->header)) {
        if (file->header)
            munmap(file->header, GRANULE);
        if (file->fd >= 0)
            close(file->fd);
        free(file);
        return NULL;
    }
    while (!file->header->id)
        if (getrandom(&file->header->id, sizeof file->header->id, 0) < 0)
            file->header->id = (uint32_t)device_time_ns();
    memcpy(file->header->magic, MAGIC, sizeof MAGIC);
    return own = file;
}

static struct shared_file *file_find(uint32_t id) {
    struct shared_file *file = own && own->header->id == id ? own : adopted;
    while (file && file->header->id != id)
        file = file->next;
    return file;
}

/* One use less; the last one of another process's file closes it. */
static void file_leave(struct shared_file *file) {
    struct shared_file **at = &adopted;
    if (file == own || --file->uses)
        return;
    while (*at != file)
        at = &(*at)->next;
    *at = file->next;
    munmap(file->header, GRANULE);
    close(file->fd);
    free(file);
}

/* --- granules ------------------------------------------------------------------------------------------------------ */

static off_t offset_of_slot(uint32_t slot) {
    return (off_t)((slot + 1) * GRANULE);
}

static void give_back(const struct shared_file *file, uint32_t slot) {
    fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset_of_slot(slot), (off_t)GRANULE);
}

CUresult shared_new(struct shared_granule *granule, const void *content) {
    struct shared_file *file = own_file();
    struct stat now;
    uint32_t slot = 0;
    if (!file)
        return CUDA_ERROR_OUT_OF_MEMORY;
    while (slot < GRANULES && !place_take(&file->header->granules[slot]))
        slot++;
    if (slot == GRANULES)
        return CUDA_ERROR_OUT_OF_MEMORY;
    bool written = !fstat(file->fd, &now) && (now.st_size >= offset_of_slot(slot + 1) ||
                                              !ftruncate(file->fd, offset_of_slot(slot + 1)));
    for (uint64_t done = 0; written && done < GRANULE;) {
        ssize_t more = pwrite(file->fd, (const char *)content + done, GRANULE - done, offset_of_slot(slot) + (off_t)done);
        written = more > 0;
        done += written ? (uint64_t)more : 0;
    }
    if (!written) {
        give_back(file, slot);
        place_leave(&file->header->granules[slot]);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *granule = (struct shared_granule){file, slot};
    return CUDA_SUCCESS;
}

uint64_t shared_number(const struct shared_granule *granule) {
    return number_of(granule->file, &granule->file->header->granules[granule->slot], granule->slot);
}

CUresult shared_find(uint64_t number, struct shared_granule *granule) {
    const uint32_t slot = number & 0xffff;
    struct shared_file *file = file_find((uint32_t)(number >> 32));
    struct stat now;
    if (!file || slot >= GRANULES || fstat(file->fd, &now) || now.st_size < offset_of_slot(slot + 1) ||
        !place_join(&file->header->granules[slot], (uint16_t)(number >> 16)))
        return CUDA_ERROR_INVALID_VALUE;
    file->uses++;
    *granule = (struct shared_granule){file, slot};
    return CUDA_SUCCESS;
}

void shared_drop(struct shared_granule *granule) {
    if (place_leave(&granule->file->header->granules[granule->slot]))
        give_back(granule->file, granule->slot);
    file_leave(granule->file);
    *granule = (struct shared_granule){NULL, 0};
}

bool shared_map(const struct shared_granule *granule, uint64_t address) {
    return mmap((void *)address, GRANULE, PROT_NONE, MAP_SHARED | MAP_FIXED, granule->file->fd,
                offset_of_slot(granule->slot)) != MAP_FAILED; /* NOLINT: an address */
}

/* --- events -------------------------------------------------------------------------------------------------------- */

CUresult shared_event_new(struct shared_event *event) {
    CUresult status = CUDA_ERROR_OUT_OF_MEMORY;
    memory_lock();
    struct shared_file *file = own_file();
    for (uint32_t i = 0; file && i < EVENTS && status != CUDA_SUCCESS; i++)
        if (place_take(&file->header->events[i].place)) {
            *event = (struct shared_event){file, &file->header->events[i]};
            status = CUDA_SUCCESS;
        }
    memory_unlock();
    return status;
}

uint64_t shared_event_number(const struct shared_event *event) {
    return number_of(event->file, &event->cell->place, (uint64_t)(event->cell - event->file->header->events));
}

CUresult shared_event_find(uint64_t number, struct shared_event *event) {
    const uint32_t index = number & 0xffff;
    CUresult status = CUDA_ERROR_INVALID_VALUE;
    memory_lock();
    struct shared_file *file = file_find((uint32_t)(number >> 32));
    if (file && index < EVENTS && place_join(&file->header->events[index].place, (uint16_t)(number >> 16))) {
        file->uses++;
        *event = (struct shared_event){file, &file->header->events[index]};
        status = CUDA_SUCCESS;
    }
    memory_unlock();
    return status;
}

void shared_event_drop(struct shared_event *event) {
    memory_lock();
    place_leave(&event->cell->place);
    file_leave(event->file);
    memory_unlock();
    *event = (struct shared_event){NULL, NULL};
}

uint64_t cell_record(struct shared_cell *cell) {
    return atomic_fetch_add(&cell->recorded, 1) + 1;
}

uint64_t cell_recorded(const struct shared_cell *cell) {
    return atomic_load(&cell->recorded);
}

void cell_reach(struct shared_cell *cell, uint64_t number) {
    uint64_t reached = atomic_load(&cell->reached);
    while (reached < number && !atomic_compare_exchange_weak(&cell->reached, &reached, number))
        ;
}

/* --- following: nobody wakes another process, so a thread looks now and then while anybody waits ------------------- */

struct followed {
    struct followed *next;
    struct record *record;
    struct shared_event event;
};

static pthread_mutex_t follow_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t follow_more = PTHREAD_COND_INITIALIZER;
static struct followed *following; /* follow lock */

static bool has_died(struct header *header) {
    const int status = pthread_mutex_trylock(&header->alive);
    if (status == EOWNERDEAD || !status)
        pthread_mutex_unlock(&header->alive); /* not made consistent: nobody ever gets it again */
    return status != EBUSY;
}

static bool is_over(const struct followed *one) {
    return atomic_load(&one->event.cell->reached) >= one->record->number || has_died(one->event.file->header);
}

static void *follow_main(void *unused) {
    const struct timespec nap = {.tv_nsec = POLL_NS};
    (void)unused;
    for (;;) {
        struct followed *over = NULL;
        pthread_mutex_lock(&follow_lock);
        while (!following)
            pthread_cond_wait(&follow_more, &follow_lock);
        for (struct followed **at = &following; *at;) {
            struct followed *one = *at;
            if (is_over(one)) {
                *at = one->next;
                one->next = over;
                over = one;
            } else {
                at = &one->next;
            }
        }
        pthread_mutex_unlock(&follow_lock);
        while (over) {
            struct followed *next = over->next;
            record_finish(over->record);
            engine_wake();
            record_release(over->record);
            shared_event_drop(&over->event);
            free(over);
            over = next;
        }
        nanosleep(&nap, NULL);
    }
    return NULL;
}

int shared_event_follow(const struct shared_event *event, struct record *record) {
    static bool started; /* follow lock */
    pthread_t thread;
    struct followed *one = calloc(1, sizeof *one);
    if (!one || shared_event_find(shared_event_number(event), &one->event)) {
        free(one);
        return -1;
    }
    one->record = record;
    atomic_fetch_add(&record->references, 1);
    pthread_mutex_lock(&follow_lock);
    if (!started && !pthread_create(&thread, NULL, follow_main, NULL)) {
        pthread_detach(thread);
        started = true;
    }
    const bool followed = started;
    if (followed) {
        one->next = following;
        following = one;
        pthread_cond_signal(&follow_more);
    }
    pthread_mutex_unlock(&follow_lock);
    if (followed)
        return 0;
    record_release(record);
    shared_event_drop(&one->event);
    free(one);
    return -1;
}

/* --- to and from other processes, by way of the worker ------------------------------------------------------------- */

int accelpool_backend_share(void);
int accelpool_backend_adopt(int fd);

API int accelpool_backend_share(void) {
    memory_lock();
    struct shared_file *file = own_file();
    memory_unlock();
    return file ? file->fd : -1;
}

API int accelpool_backend_adopt(int fd) {
    struct shared_file *file = calloc(1, sizeof *file);
    struct stat now;
    /* Not even looked at before it is known to be long enough, and to stay so. */
    if (!file || fstat(fd, &now) || now.st_size < (off_t)GRANULE || (fcntl(fd, F_GET_SEALS) & SEALS) != SEALS) {
        free(file);
        return -1;
    }
    file->header = header_map(fd);
    const bool genuine = file->header && !memcmp(file->header->magic, MAGIC, sizeof MAGIC);
    memory_lock();
    const bool known = genuine && file_find(file->header->id);
    file->fd = genuine && !known ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (file->fd >= 0) {
        file->next = adopted;
        adopted = file;
    }
    memory_unlock();
    if (file->fd >= 0)
        return 0;
    if (file->header)
        munmap(file->header, GRANULE);
    free(file);
    return known ? 0 : -1;
}
