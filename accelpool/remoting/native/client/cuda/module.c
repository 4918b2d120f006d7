/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading: the worker is offered the image's hash first; only content that it does not know is uploaded. The answer holds
 * nearly everything that the program may ask about the module later.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "module.h"
#include "cubin_params.h"
#include "ptx_params.h"
#include "sha256.h"

#define BODY_MAX (256u << 20)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct module *modules;

/* --- the worker's answer ------------------------------------------------------------------------------------------ */

struct body {
    char *at, *end;
};

static void *take(struct body *body, size_t length)
{
    char *at = body->at;

    if (length > (size_t)(body->end - at))
        return NULL;
    body->at += length;
    return at;
}

static const char *take_name(struct body *body, uint32_t length)
{
    const char *name = length ? take(body, length) : NULL;

    return name && !name[length - 1] ? name : NULL;
}

static int read_kernel(struct body *body, struct kernel *kernel)
{
    struct wire_kernel wire;
    const void *fixed = take(body, sizeof wire);

    if (!fixed)
        return -1;
    memcpy(&wire, fixed, sizeof wire);
    kernel->parameter_count = wire.parameter_count;
    kernel->later = wire.parameter_count == WIRE_KERNEL_LATER;
    memcpy(kernel->attributes, wire.attributes, sizeof kernel->attributes);
    if (wire.parameter_count && wire.parameter_count < WIRE_KERNEL_LATER) {
        size_t size = (size_t)wire.parameter_count * sizeof *kernel->parameters;
        const void *parameters = take(body, size);

        kernel->parameters = parameters ? malloc(size) : NULL;
        if (!kernel->parameters)
            return -1;
        memcpy(kernel->parameters, parameters, size);
    }
    kernel->name = take_name(body, wire.name_length);
    return kernel->name ? 0 : -1;
}

static int read_variable(struct body *body, struct variable *variable)
{
    struct wire_global wire;
    const void *fixed = take(body, sizeof wire);

    if (!fixed)
        return -1;
    memcpy(&wire, fixed, sizeof wire);
    *variable = (struct variable){.address = wire.address, .size = wire.size};
    variable->name = take_name(body, wire.name_length);
    return variable->name ? 0 : -1;
}

/* The program's own code says where the parameters lie, whatever the vendor's library can tell. */
static void use_image(struct module *module, enum wire_image kind, const void *image, size_t length)
{
    struct ptx_kernel *found = NULL;
    int count = kind == WIRE_IMAGE_PTX      ? ptx_kernels(image, length, &found)
                : kind == WIRE_IMAGE_FATBIN ? fatbin_kernels(image, length, &found)
                                            : cubin_kernels(image, length, &found);

    for (int i = 0; i < count; i++)
        for (uint32_t k = 0; k < module->kernel_count; k++) {
            struct kernel *kernel = &module->kernels[k];

            if (strlen(kernel->name) != found[i].name_length || memcmp(kernel->name, found[i].name, found[i].name_length))
                continue;
            free(kernel->parameters);
            kernel->parameters = (struct wire_parameter *)found[i].parameters;
            kernel->parameter_count = found[i].count;
            found[i].parameters = NULL;
        }
    if (count >= 0)
        ptx_free(found, count);
}

_Static_assert(sizeof(struct ptx_parameter) == sizeof(struct wire_parameter), "the same two numbers");

static int finish_kernel(struct module *module, struct kernel *kernel, uint32_t index)
{
    kernel->module = module;
    kernel->index = index;
    if (!kernel->later && kernel_settle(kernel))
        return -1;
    kernel->handle = handle_new(HANDLE_FUNCTION, module->device, kernel);
    return kernel->handle ? 0 : -1;
}

static int read_tables(struct module *module, const struct wire_module_reply *reply, size_t length)
{
    struct body body = {module->body, module->body + length};

    if (reply->kernel_count > length / sizeof(struct wire_kernel) || reply->global_count > length / sizeof(struct wire_global))
        return -1;
    module->kernels = calloc(reply->kernel_count + 1, sizeof *module->kernels);
    module->variables = calloc(reply->global_count + 1, sizeof *module->variables);
    if (!module->kernels || !module->variables)
        return -1;
    for (; module->kernel_count < reply->kernel_count; module->kernel_count++)
        if (read_kernel(&body, &module->kernels[module->kernel_count]))
            return -1;
    for (; module->variable_count < reply->global_count; module->variable_count++)
        if (read_variable(&body, &module->variables[module->variable_count]))
            return -1;
    return 0;
}

static void destroy(struct module *module)
{
    for (uint32_t i = 0; module->kernels && i < module->kernel_count; i++) {
        if (module->kernels[i].handle)
            handle_free(HANDLE_FUNCTION, module->kernels[i].handle);
        free(module->kernels[i].parameters);
    }
    free(module->kernels);
    for (uint32_t i = 0; module->variables && i < module->variable_count; i++)
        free(module->variables[i].own_name);
    free(module->variables);
    free(module->body);
    if (module->id)
        handle_free(HANDLE_MODULE, module->id);
    free(module);
}

/* --- load and unload ---------------------------------------------------------------------------------------------- */

/* Offer, then upload if the worker wants it. */
static CUresult transfer(struct device *device, const struct wire_module_call *call, const void *image,
                         struct wire_module_reply *reply, struct channel_reply *answer)
{
    struct iovec part = {(void *)call, sizeof *call};
    CUresult status;

    *answer = (struct channel_reply){.head = reply, .head_size = sizeof *reply, .body_size = BODY_MAX, .grow = 1};
    memset(reply, 0, sizeof *reply);
    status = channel_call(device->channel, WIRE_MODULE_OFFER, &part, 1, answer);
    if (status || reply->known)
        return status;
    free(answer->body);
    answer->body = NULL;
    return channel_call_bulk(device->channel, WIRE_MODULE_DATA, &part, 1, image, call->length, answer);
}

CUresult module_load(struct device *device, const void *image, const struct jit *jit, uint32_t flags,
                     struct module **loaded)
{
    struct module *module = calloc(1, sizeof *module);
    struct wire_module_call call = {.flags = flags | WIRE_MODULE_LATER, .option_count = jit->count};
    struct wire_module_reply reply;
    struct channel_reply answer = {0};
    enum wire_image kind = WIRE_IMAGE_PTX;
    size_t length = 0;
    CUresult status = module ? image_measure(&image, &kind, &length) : CLIENT_OUT_OF_MEMORY;

    if (!status) {
        module->device = device;
        module->id = handle_new(HANDLE_MODULE, device, module);
        status = module->id ? 0 : CLIENT_OUT_OF_MEMORY;
    }
    if (!status) {
        call.module = (uint32_t)module->id;
        call.image = kind;
        call.length = length;
        sha256(image, length, call.sha256);
        memcpy(call.options, jit->options, sizeof call.options);
        status = transfer(device, &call, image, &reply, &answer);
        module->body = answer.body;
        size_t log = reply.log_length <= answer.body_received ? reply.log_length : 0;
        jit_report(jit, status, module->body ? module->body + answer.body_received - log : "", log);
        if (!status && read_tables(module, &reply, answer.body_received - log))
            status = CLIENT_INVALID_IMAGE;
    }
    if (!status)
        use_image(module, kind, image, length);
    for (uint32_t i = 0; !status && i < module->kernel_count; i++)
        if (finish_kernel(module, &module->kernels[i], i))
            status = CLIENT_INVALID_IMAGE;
    if (status) {
        if (module)
            destroy(module);
        return status;
    }
    pthread_mutex_lock(&lock);
    module->next = modules;
    modules = module;
    pthread_mutex_unlock(&lock);
    *loaded = module;
    return 0;
}

void module_unload(struct module *module)
{
    struct wire_module_unload call = {.module = (uint32_t)module->id};

    pthread_mutex_lock(&lock);
    struct module **link = &modules;
    while (*link && *link != module)
        link = &(*link)->next;
    if (*link)
        *link = module->next;
    pthread_mutex_unlock(&lock);
    session_post(module->device, WIRE_MODULE_UNLOAD, &call, sizeof call, CALL_ALWAYS);
    destroy(module);
}

void module_unload_all(struct device *device)
{
    for (;;) {
        pthread_mutex_lock(&lock);
        struct module *module = modules;
        while (module && (module->device != device || module->library))
            module = module->next;
        pthread_mutex_unlock(&lock);
        if (!module)
            return;
        module_unload(module);
    }
}

int module_global_at(struct device *device, CUdeviceptr address, uint64_t *start, uint64_t *bytes)
{
    int found = 0;

    pthread_mutex_lock(&lock);
    for (const struct module *module = modules; module && !found; module = module->next)
        for (uint32_t i = 0; module->device == device && i < module->variable_count; i++)
            if (address - module->variables[i].address < module->variables[i].size) {
                *start = module->variables[i].address;
                *bytes = module->variables[i].size;
                found = 1;
            }
    pthread_mutex_unlock(&lock);
    return found;
}

struct kernel *module_kernel(const struct module *module, const char *name)
{
    for (uint32_t i = 0; i < module->kernel_count; i++)
        if (!strcmp(module->kernels[i].name, name))
            return &module->kernels[i];
    return NULL;
}

/* With the lock. */
static const struct variable *variable_named(const struct module *module, const char *name)
{
    for (uint32_t i = 0; i < module->variable_count; i++)
        if (!strcmp(module->variables[i].name, name))
            return &module->variables[i];
    return NULL;
}

/* The image did not tell of it, but the vendor's library may know it. */
static CUresult ask_variable(const struct module *module, const char *name, struct variable *found)
{
    const struct wire_global_find call = {.module = (uint32_t)module->id, .name_length = (uint32_t)strlen(name) + 1};
    const struct iovec parts[2] = {{(void *)&call, sizeof call}, {(void *)name, call.name_length}};
    struct wire_global_reply reply;
    struct channel_reply answer = {.head = &reply, .head_size = sizeof reply};
    CUresult status = call.name_length > WIRE_CHUNK_MAX
                          ? CLIENT_NOT_FOUND
                          : channel_call(module->device->channel, WIRE_GLOBAL, parts, 2, &answer);

    if (!status)
        *found = (struct variable){.address = reply.address, .size = reply.size, .own_name = strdup(name)};
    found->name = found->own_name;
    return status ? status : found->name ? 0 : CLIENT_OUT_OF_MEMORY;
}

/* With the lock; another thread may have asked, too. */
static CUresult add_variable(struct module *module, const struct variable *found)
{
    struct variable *grown = realloc(module->variables, (module->variable_count + 1) * sizeof *grown);

    if (!grown)
        return CLIENT_OUT_OF_MEMORY;
    module->variables = grown;
    grown[module->variable_count++] = *found;
    return 0;
}

CUresult module_give_global(struct module *module, const char *name, CUdeviceptr *address, size_t *bytes)
{
    struct variable variable = {0};
    CUresult status = 0;

    pthread_mutex_lock(&lock);
    const struct variable *known = variable_named(module, name);
    if (known)
        variable = *known;
    pthread_mutex_unlock(&lock);
    if (!known) {
        status = ask_variable(module, name, &variable);
        pthread_mutex_lock(&lock);
        if (!status)
            status = add_variable(module, &variable);
        pthread_mutex_unlock(&lock);
        if (status)
            free(variable.own_name);
    }
    if (!status && address)
        *address = variable.address;
    if (!status && bytes)
        *bytes = variable.size;
    return status;
}

struct kernel *kernel_of(const void *function)
{
    return handle_object(HANDLE_FUNCTION, function);
}

void *kernel_value(const struct kernel *kernel)
{
    return handle_value(HANDLE_FUNCTION, kernel->handle);
}

struct module *module_of(CUmodule module)
{
    return handle_object(HANDLE_MODULE, module);
}

char *module_read_file(const char *path, size_t *length)
{
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    struct stat status;
    char *bytes = NULL;

    if (fd >= 0 && !fstat(fd, &status) && S_ISREG(status.st_mode) && (uint64_t)status.st_size < WIRE_MODULE_MAX)
        bytes = malloc((size_t)status.st_size + 1);
    for (*length = 0; bytes;) {
        ssize_t got = read(fd, bytes + *length, (size_t)status.st_size - *length);

        if (got <= 0)
            break;
        *length += (size_t)got;
    }
    if (bytes)
        bytes[*length] = 0;
    if (fd >= 0)
        close(fd);
    return bytes;
}

/* --- the API ------------------------------------------------------------------------------------------------------ */

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int numOptions, CUjit_option *options,
                            void **optionValues)
{
    struct device *device;
    struct module *loaded;
    struct jit jit;
    CUresult status = client_enter(&device);

    if (!status && !module)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        status = jit_read(&jit, numOptions, options, optionValues);
    if (!status)
        status = module_load(device, image, &jit, 0, &loaded);
    if (!status)
        *module = handle_value(HANDLE_MODULE, loaded->id);
    return status;
}

CUresult cuModuleLoadData(CUmodule *module, const void *image)
{
    return cuModuleLoadDataEx(module, image, 0, NULL, NULL);
}

CUresult cuModuleLoadFatBinary(CUmodule *module, const void *fatCubin)
{
    return cuModuleLoadDataEx(module, fatCubin, 0, NULL, NULL);
}

CUresult cuModuleLoad(CUmodule *module, const char *fname)
{
    size_t length;
    char *image = module_read_file(fname, &length);
    CUresult status = image ? cuModuleLoadData(module, image) : client_ready() ? CLIENT_NOT_INITIALIZED
                      : fname ? CLIENT_FILE_NOT_FOUND : CLIENT_INVALID_VALUE;

    free(image);
    return status;
}

/* The module that a call names, if the session still stands. */
static CUresult look_up(CUmodule value, struct module **module)
{
    struct device *device;
    CUresult status = client_enter(&device);

    if (status)
        return status;
    *module = module_of(value);
    return *module ? 0 : CLIENT_INVALID_HANDLE;
}

CUresult cuModuleUnload(CUmodule hmod)
{
    struct module *module;
    CUresult status = look_up(hmod, &module);

    if (!status && module->library)
        status = CLIENT_NOT_SUPPORTED; /* it goes with its library */
    if (!status)
        module_unload(module);
    return status;
}

CUresult cuModuleGetFunction(CUfunction *hfunc, CUmodule hmod, const char *name)
{
    struct module *module;
    CUresult status = look_up(hmod, &module);

    if (status)
        return status;
    if (!hfunc || !name)
        return CLIENT_INVALID_VALUE;
    const struct kernel *kernel = module_kernel(module, name);
    if (!kernel)
        return CLIENT_NOT_FOUND;
    *hfunc = kernel_value(kernel);
    return 0;
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr *dptr, size_t *bytes, CUmodule hmod, const char *name)
{
    struct module *module;
    CUresult status = look_up(hmod, &module);

    if (!status && !name)
        status = CLIENT_INVALID_VALUE;
    return status ? status : module_give_global(module, name, dptr, bytes);
}

CUresult cuModuleGetFunctionCount(unsigned int *count, CUmodule mod)
{
    struct module *module;
    CUresult status = look_up(mod, &module);

    if (!status && !count)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *count = module->kernel_count;
    return status;
}

CUresult cuModuleEnumerateFunctions(CUfunction *functions, unsigned int numFunctions, CUmodule mod)
{
    struct module *module;
    CUresult status = look_up(mod, &module);

    if (!status && !functions)
        status = CLIENT_INVALID_VALUE;
    for (uint32_t i = 0; !status && i < numFunctions && i < module->kernel_count; i++)
        functions[i] = kernel_value(&module->kernels[i]);
    return status;
}

CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode *mode)
{
    CUresult status = client_ready();

    if (!status && !mode)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *mode = 1; /* eager */
    return status;
}
