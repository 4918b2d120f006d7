/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about kernels: answered from the table that came with the module. CUkernel and CUfunction are the same. */
#include "module.h"

static CUresult look_up(const void *function, struct kernel **kernel)
{
    CUresult status = client_ready();

    if (status)
        return status;
    *kernel = kernel_of(function);
    return *kernel ? 0 : CLIENT_INVALID_HANDLE;
}

/* The same for what is asked about itself. */
static CUresult look_into(const void *function, struct kernel **kernel)
{
    CUresult status = look_up(function, kernel);

    return status ? status : kernel_ready(*kernel);
}

static CUresult get_attribute(int *value, int attribute, const void *function)
{
    struct kernel *kernel;
    CUresult status = look_into(function, &kernel);

    if (status)
        return status;
    if (!value || attribute < 0 || attribute >= WIRE_FUNCTION_ATTRIBUTES ||
        kernel->attributes[attribute] == WIRE_ATTRIBUTE_NONE)
        return CLIENT_INVALID_VALUE;
    *value = kernel->attributes[attribute];
    return 0;
}

static CUresult set_attribute(const void *function, int attribute, int value)
{
    struct kernel *kernel;
    CUresult status = look_into(function, &kernel);

    if (status)
        return status;
    const struct device *device = kernel->module->device;
    if (attribute == FUNCTION_MAX_DYNAMIC_SHARED_SIZE_BYTES) {
        int shared = kernel->attributes[FUNCTION_SHARED_SIZE_BYTES];

        if (value < 0 || (int64_t)value + (shared > 0 ? shared : 0) >
                             device->snapshot.attributes[ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN])
            return CLIENT_INVALID_VALUE;
        kernel->dynamic_shared = value;
    } else if (attribute == FUNCTION_PREFERRED_SHARED_MEMORY_CARVEOUT) {
        if (value < -1 || value > 100)
            return CLIENT_INVALID_VALUE;
    } else if (attribute < 10 || attribute >= WIRE_FUNCTION_ATTRIBUTES) {
        return CLIENT_INVALID_VALUE; /* the others can only be read */
    }
    kernel->attributes[attribute] = value;
    struct wire_kernel_set call = {
        .module = (uint32_t)kernel->module->id, .kernel = kernel->index, .attribute = attribute, .value = value};
    return session_post(kernel->module->device, WIRE_KERNEL_SET, &call, sizeof call, 0);
}

static CUresult get_name(const char **name, const void *function)
{
    struct kernel *kernel;
    CUresult status = look_up(function, &kernel);

    if (!status && !name)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *name = kernel->name;
    return status;
}

static CUresult get_parameter(const void *function, size_t index, size_t *offset, size_t *size)
{
    struct kernel *kernel;
    CUresult status = look_into(function, &kernel);

    if (status)
        return status;
    if (!offset || kernel->parameter_count == UINT32_MAX || index >= kernel->parameter_count)
        return CLIENT_INVALID_VALUE;
    *offset = kernel->parameters[index].offset;
    if (size)
        *size = kernel->parameters[index].size;
    return 0;
}

static CUresult get_parameter_count(const void *function, size_t *count)
{
    struct kernel *kernel;
    CUresult status = look_into(function, &kernel);

    if (!status && !count)
        status = CLIENT_INVALID_VALUE;
    if (!status && kernel->parameter_count == UINT32_MAX)
        status = CLIENT_NOT_SUPPORTED;
    if (!status)
        *count = kernel->parameter_count;
    return status;
}

/* A hint that no emulated or remote device needs. */
static CUresult hint(const void *function, int value, int highest)
{
    struct kernel *kernel;
    CUresult status = look_up(function, &kernel);

    return status ? status : value < 0 || value > highest ? CLIENT_INVALID_VALUE : 0;
}

CUresult cuFuncGetAttribute(int *pi, CUfunction_attribute attrib, CUfunction hfunc)
{
    return get_attribute(pi, attrib, hfunc);
}

CUresult cuFuncSetAttribute(CUfunction hfunc, CUfunction_attribute attrib, int value)
{
    return set_attribute(hfunc, attrib, value);
}

CUresult cuFuncSetCacheConfig(CUfunction hfunc, CUfunc_cache config)
{
    return hint(hfunc, config, 3);
}

CUresult cuFuncSetSharedMemConfig(CUfunction hfunc, CUsharedconfig config)
{
    return hint(hfunc, config, 2);
}

CUresult cuFuncGetModule(CUmodule *hmod, CUfunction hfunc)
{
    struct kernel *kernel;
    CUresult status = look_up(hfunc, &kernel);

    if (!status && !hmod)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *hmod = handle_value(HANDLE_MODULE, kernel->module->id);
    return status;
}

CUresult cuFuncGetName(const char **name, CUfunction hfunc)
{
    return get_name(name, hfunc);
}

CUresult cuFuncGetParamInfo(CUfunction func, size_t paramIndex, size_t *paramOffset, size_t *paramSize)
{
    return get_parameter(func, paramIndex, paramOffset, paramSize);
}

CUresult cuFuncGetParamCount(CUfunction func, size_t *paramCount)
{
    return get_parameter_count(func, paramCount);
}

CUresult cuFuncIsLoaded(CUfunctionLoadingState *state, CUfunction function)
{
    struct kernel *kernel;
    CUresult status = look_up(function, &kernel);

    if (!status && !state)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *state = atomic_load_explicit(&kernel->ready, memory_order_relaxed);
    return status;
}

CUresult cuFuncLoad(CUfunction function)
{
    struct kernel *kernel;

    return look_into(function, &kernel);
}

CUresult cuKernelGetFunction(CUfunction *pFunc, CUkernel kernel)
{
    struct kernel *known;
    CUresult status = look_up(kernel, &known);

    if (!status && !pFunc)
        status = CLIENT_INVALID_VALUE;
    if (!status)
        *pFunc = kernel_value(known);
    return status;
}

CUresult cuKernelGetAttribute(int *pi, CUfunction_attribute attrib, CUkernel kernel, CUdevice dev)
{
    return client_device(dev) ? get_attribute(pi, attrib, kernel)
                              : client_ready() ? CLIENT_NOT_INITIALIZED : CLIENT_INVALID_DEVICE;
}

CUresult cuKernelSetAttribute(CUfunction_attribute attrib, int val, CUkernel kernel, CUdevice dev)
{
    return client_device(dev) ? set_attribute(kernel, attrib, val)
                              : client_ready() ? CLIENT_NOT_INITIALIZED : CLIENT_INVALID_DEVICE;
}

CUresult cuKernelSetCacheConfig(CUkernel kernel, CUfunc_cache config, CUdevice dev)
{
    return client_device(dev) ? hint(kernel, config, 3) : client_ready() ? CLIENT_NOT_INITIALIZED : CLIENT_INVALID_DEVICE;
}

CUresult cuKernelGetName(const char **name, CUkernel hfunc)
{
    return get_name(name, hfunc);
}

CUresult cuKernelGetParamInfo(CUkernel kernel, size_t paramIndex, size_t *paramOffset, size_t *paramSize)
{
    return get_parameter(kernel, paramIndex, paramOffset, paramSize);
}

CUresult cuKernelGetParamCount(CUkernel kernel, size_t *paramCount)
{
    return get_parameter_count(kernel, paramCount);
}
