/* SPDX-License-Identifier: Apache-2.0 */
/* Modules as the client knows them: kernels with their parameters and attributes, variables with their addresses. */
#ifndef ACCELPOOL_CLIENT_MODULE_H
#define ACCELPOOL_CLIENT_MODULE_H

#include "client.h"

struct module;

struct kernel {
    struct module *module;
    const char *name;
    uint32_t index;           /* in the worker's table */
    uint32_t parameter_count; /* UINT32_MAX: nobody knows, only a packed buffer can launch it; WIRE_KERNEL_LATER */
    uint32_t parameter_bytes;
    struct wire_parameter *parameters;
    int attributes[WIRE_FUNCTION_ATTRIBUTES];
    int later;         /* the module's table only named it */
    _Atomic int ready; /* attributes and parameters are here */
    int dynamic_shared; /* bytes of dynamic shared memory that a launch may ask for */
    uint64_t handle;    /* id */
};

struct variable {
    const char *name;
    char *own_name; /* or NULL: it points into the module's body */
    uint64_t address, size;
};

struct module {
    struct module *next; /* of all loaded modules */
    struct device *device;
    uint64_t id; /* of the handle, and on the wire */
    CUlibrary library; /* or NULL */
    uint32_t kernel_count, variable_count;
    struct kernel *kernels;
    struct variable *variables; /* the table's, and those that were asked for since */
    char *body; /* the reply that names point into */
};

/* The options of a load or link; buffers are filled when the diagnostics are there. */
struct jit {
    char *info, *error;
    size_t info_size, error_size;
    void **info_size_out, **error_size_out;
    uint32_t count;
    struct wire_jit_option options[WIRE_JIT_OPTIONS];
};

/* jit.c */
CUresult jit_read(struct jit *jit, unsigned count, const CUjit_option *options, void **values);
/* Diagnostics go to the error buffer when status says that something failed, to the information buffer otherwise. */
void jit_report(const struct jit *jit, CUresult status, const char *log, size_t length);

/* image.c: kind and length of what a program hands over by its first byte alone; 0, or CUDA_ERROR_INVALID_IMAGE. */
CUresult image_measure(const void **image, enum wire_image *kind, size_t *length);

/* module.c */
CUresult module_load(struct device *device, const void *image, const struct jit *jit, uint32_t flags,
                     struct module **module);
void module_unload(struct module *module);
/* All modules of the device that belong to no library. */
void module_unload_all(struct device *device);
struct kernel *module_kernel(const struct module *module, const char *name);
/* The kernel behind a CUfunction or CUkernel, or NULL. */
struct kernel *kernel_of(const void *function);
void *kernel_value(const struct kernel *kernel);
/* kernel.c: asks the worker about a kernel that the module's table only named; the first use of each costs a round trip. */
CUresult kernel_ready(struct kernel *kernel);
/* Attributes and parameters are there; -1: a parameter lies where none can. */
int kernel_settle(struct kernel *kernel);
struct module *module_of(CUmodule module);
/* The file's bytes with a NUL behind them, to be freed; NULL: it cannot be read. */
char *module_read_file(const char *path, size_t *length);
CUresult module_give_global(struct module *module, const char *name, CUdeviceptr *address, size_t *bytes);

#endif
