/* SPDX-License-Identifier: Apache-2.0 */
/* Modules, libraries, the linker, functions, launches: what succeeds, and every synchronous error. */
#include "emu_test.h"

static CUmodule module;

static void images(void) {
    CUmodule none = NULL;
    char log[200] = "";
    int options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)(uintptr_t)sizeof log};
    static const unsigned char elf[64] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    EXPECT(cuModuleLoadData(&none, "garbage, not a module"), CUDA_ERROR_INVALID_IMAGE);
    EXPECT(cuModuleLoadData(&none, ""), CUDA_ERROR_INVALID_IMAGE);
    EXPECT(cuModuleLoadData(&none, NULL), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuModuleLoadData(&none, elf), CUDA_ERROR_NO_BINARY_FOR_GPU);
    EXPECT(cuModuleLoadDataEx(&none, ".version 7.0\n.target sm_52\n nonsense\n", 2, options, values), CUDA_ERROR_INVALID_PTX);
    EXPECT(strstr(log, "nonsense") != NULL, 1);
    EXPECT((uintptr_t)values[1] > 0 && (uintptr_t)values[1] < sizeof log, 1);
    EXPECT(none == NULL, 1);
}

struct fatbin {
    uint32_t magic;
    uint16_t version, header;
    uint64_t size;
    struct {
        uint16_t kind, version;
        uint32_t header;
        uint64_t size;
        uint32_t unused[3], arch;
        uint64_t more, flags, rest[2];
    } entry;
    char text[16384];
};

static void fat_binaries(void) {
    CUmodule loaded = NULL;
    CUfunction function = NULL;
    struct fatbin *fat = calloc(1, sizeof *fat);
    char *text = kernels_text();
    size_t length = strlen(text) + 1;
    fat->magic = 0xba55ed50;
    fat->version = 1;
    fat->header = 16;
    fat->entry.kind = 1;
    fat->entry.header = 64;
    fat->entry.arch = 52;
    fat->entry.size = length;
    fat->size = 64 + length;
    memcpy(fat->text, text, length);
    struct {
        uint32_t magic, version;
        const void *data;
        void *name;
    } wrapper = {0x466243b1, 1, fat, NULL};
    OK(cuModuleLoadData(&loaded, &wrapper));
    OK(cuModuleGetFunction(&function, loaded, "fill"));
    OK(cuModuleUnload(loaded));
    fat->entry.arch = 90; /* newer than the device */
    EXPECT(cuModuleLoadData(&loaded, fat), CUDA_ERROR_NO_BINARY_FOR_GPU);
    fat->entry.arch = 52;
    fat->entry.kind = 2; /* a cubin */
    EXPECT(cuModuleLoadData(&loaded, fat), CUDA_ERROR_NO_BINARY_FOR_GPU);
    fat->entry.size = 1ull << 40;
    EXPECT(cuModuleLoadData(&loaded, fat), CUDA_ERROR_INVALID_IMAGE);
    free(fat);
    free(text);
}

static void symbols(void) {
    CUfunction function = NULL;
    CUdeviceptr at = 0, out = 0;
    size_t size = 0, offset = 0;
    uint32_t word = 0;
    int value = -1;
    EXPECT(cuModuleGetFunction(&function, module, "absent"), CUDA_ERROR_NOT_FOUND);
    EXPECT(cuModuleGetFunction(&function, module, ""), CUDA_ERROR_INVALID_VALUE);
    OK(cuModuleGetGlobal_v2(&at, &size, module, "table"));
    EXPECT(size, 16);
    EXPECT(cuModuleGetGlobal_v2(&at, &size, module, "absent"), CUDA_ERROR_NOT_FOUND);
    OK(cuModuleGetGlobal_v2(&at, NULL, module, "factor"));
    word = 7;
    OK(cuMemcpyHtoD_v2(at, &word, 4));
    OK(cuMemAlloc_v2(&out, 4));
    void *parameters[] = {&out};
    OK(launch1(function_of(module, "read_table"), 1, 1, NULL, parameters));
    OK(cuMemcpyDtoH_v2(&word, out, 4));
    EXPECT(word, 37); /* table[2] through a relocated pointer, times 10, plus the new factor */
    OK(cuMemFree_v2(out));
    function = function_of(module, "fill");
    OK(cuFuncGetParamInfo(function, 1, &offset, &size));
    EXPECT(offset, 8);
    EXPECT(size, 4);
    EXPECT(cuFuncGetParamInfo(function, 3, &offset, &size), CUDA_ERROR_INVALID_VALUE);
    OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_BINARY_VERSION, function));
    EXPECT(value, 86);
    EXPECT(cuFuncGetAttribute(&value, 99, function), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_NUM_REGS, 3), CUDA_ERROR_INVALID_VALUE);
}

static void launches(void) {
    CUfunction fill = function_of(module, "fill"), wide = function_of(module, "wide"), bounded = function_of(module, "bounded");
    CUdeviceptr out = 0;
    uint32_t value = 77, count = 1000, *host = calloc(1000, 4), block[60] = {[59] = 4711};
    OK(cuMemAlloc_v2(&out, 4000));
    void *parameters[] = {&out, &value, &count}, *missing[] = {&out, NULL, &count}, *wide_parameters[] = {&out, block};
    OK(launch1(fill, 8, 128, NULL, parameters));
    OK(cuMemcpyDtoH_v2(host, out, 4000));
    EXPECT(host[0], 77);
    EXPECT(host[999], 77);
    struct {
        CUdeviceptr to;
        uint32_t value, count;
    } buffer = {out, 5, 10};
    size_t size = sizeof buffer;
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &buffer, CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_END};
    OK(cuLaunchKernel(fill, 1, 1, 1, 32, 1, 1, 0, NULL, NULL, extra));
    OK(cuMemcpyDtoH_v2(host, out, 4000));
    EXPECT(host[9], 5);
    EXPECT(host[10], 77);
    OK(launch1(wide, 1, 1, NULL, wide_parameters)); /* more parameters than fit the ring */
    OK(cuMemcpyDtoH_v2(host, out, 4));
    EXPECT(host[0], 4711);
    EXPECT(cuLaunchKernel(fill, 1, 1, 1, 32, 1, 1, 0, NULL, parameters, extra), CUDA_ERROR_INVALID_VALUE);
    EXPECT(launch1(fill, 1, 32, NULL, NULL), CUDA_ERROR_INVALID_VALUE);
    EXPECT(launch1(fill, 1, 32, NULL, missing), CUDA_ERROR_INVALID_VALUE);
    EXPECT(launch1(fill, 0, 32, NULL, parameters), CUDA_ERROR_INVALID_VALUE);
    EXPECT(launch1(fill, 1, 0, NULL, parameters), CUDA_ERROR_INVALID_VALUE);
    EXPECT(launch1(fill, 1, 1025, NULL, parameters), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuLaunchKernel(fill, 1, 65536, 1, 1, 1, 1, 0, NULL, parameters, NULL), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuLaunchKernel(fill, 1, 1, 1, 1, 1, 65, 0, NULL, parameters, NULL), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuLaunchKernel(fill, 1, 1, 1, 64, 32, 1, 0, NULL, parameters, NULL), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuLaunchKernel(fill, 1, 1, 1, 32, 1, 1, 48 << 10, NULL, parameters, NULL), CUDA_SUCCESS);
    EXPECT(cuLaunchKernel(fill, 1, 1, 1, 32, 1, 1, (48 << 10) + 1, NULL, parameters, NULL), CUDA_ERROR_INVALID_VALUE);
    OK(cuFuncSetAttribute(fill, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 99 << 10));
    EXPECT(cuFuncSetAttribute(fill, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, (99 << 10) + 1), CUDA_ERROR_INVALID_VALUE);
    OK(cuLaunchKernel(fill, 1, 1, 1, 32, 1, 1, 99 << 10, NULL, parameters, NULL));
    EXPECT(launch1(bounded, 1, 65, NULL, parameters), CUDA_ERROR_INVALID_VALUE);
    OK(launch1(bounded, 1, 64, NULL, parameters));
    EXPECT(launch1(NULL, 1, 1, NULL, parameters), CUDA_ERROR_INVALID_HANDLE);
    EXPECT(launch1((CUfunction)(uintptr_t)host, 1, 1, NULL, parameters), CUDA_ERROR_INVALID_HANDLE);
    OK(cuLaunchCooperativeKernel(fill, 16, 1, 1, 32, 1, 1, 0, NULL, parameters));
    EXPECT(cuLaunchCooperativeKernel(fill, 100000, 1, 1, 32, 1, 1, 0, NULL, parameters),
           CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
    OK(cuCtxSynchronize());
    OK(cuMemFree_v2(out));
    free(host);
}

static void libraries(void) {
    CUlibrary library = NULL;
    CUkernel kernel = NULL;
    CUfunction function = NULL;
    CUmodule inner = NULL;
    CUdeviceptr out = 0;
    uint32_t value = 3, count = 1;
    int shared = 0;
    char *text = kernels_text();
    OK(cuLibraryLoadData(&library, text, NULL, NULL, 0, NULL, NULL, 0));
    OK(cuLibraryGetKernel(&kernel, library, "fill"));
    EXPECT(cuLibraryGetKernel(&kernel, library, "absent"), CUDA_ERROR_NOT_FOUND);
    OK(cuKernelGetAttribute(&shared, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, kernel, 0));
    EXPECT(shared, 1024);
    OK(cuKernelGetFunction(&function, kernel));
    OK(cuLibraryGetModule(&inner, library));
    EXPECT(cuModuleUnload(inner), CUDA_ERROR_INVALID_HANDLE);
    OK(cuMemAlloc_v2(&out, 4));
    void *parameters[] = {&out, &value, &count};
    CUlaunchConfig config = {1, 1, 1, 1, 1, 1, 0, NULL, NULL, 0};
    OK(cuLaunchKernelEx(&config, (CUfunction)(void *)kernel, parameters, NULL)); /* a kernel launches like a function */
    value = 0;
    OK(cuMemcpyDtoH_v2(&value, out, 4));
    EXPECT(value, 3);
    OK(cuMemFree_v2(out));
    OK(cuLibraryUnload(library));
    EXPECT(launch1(function, 1, 1, NULL, parameters), CUDA_ERROR_INVALID_HANDLE);
    EXPECT(cuLibraryUnload(library), CUDA_ERROR_INVALID_HANDLE);
    free(text);
}

static void linking(void) {
    CUlinkState state = NULL;
    CUmodule linked = NULL;
    void *image = NULL;
    size_t size = 0;
    char log[100] = "", *text = kernels_text();
    int options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)(uintptr_t)sizeof log};
    OK(cuLinkCreate_v2(2, options, values, &state));
    EXPECT(cuLinkAddData_v2(state, CU_JIT_INPUT_PTX, (void *)(uintptr_t) "no version here", 16, "a", 0, NULL, NULL),
           CUDA_ERROR_INVALID_PTX);
    OK(cuLinkAddData_v2(state, CU_JIT_INPUT_PTX, text, strlen(text) + 1, "b", 0, NULL, NULL));
    OK(cuLinkComplete(state, &image, &size));
    EXPECT(size > strlen(text), 1);
    OK(cuModuleLoadData(&linked, image));
    OK(cuLinkDestroy(state));
    OK(cuModuleUnload(linked));
    OK(cuLinkCreate_v2(2, options, values, &state));
    char bad[] = ".version 7.0\nnonsense";
    OK(cuLinkAddData_v2(state, CU_JIT_INPUT_PTX, bad, sizeof bad, "c", 0, NULL, NULL));
    EXPECT(cuLinkComplete(state, &image, &size), CUDA_ERROR_INVALID_PTX);
    EXPECT(strstr(log, "nonsense") != NULL, 1);
    OK(cuLinkDestroy(state));
    EXPECT(cuLinkDestroy(state), CUDA_ERROR_INVALID_HANDLE);
    free(text);
}

static void occupancy(void) {
    CUfunction bounded = function_of(module, "bounded"), fill = function_of(module, "fill");
    int blocks = 0, grid = 0, block = 0;
    OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, fill, 1024, 0));
    EXPECT(blocks, 1);
    OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, fill, 32, 0));
    EXPECT(blocks, 16);
    OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, bounded, 64, 7252)); /* and 2 KiB more, in units of 128 bytes */
    EXPECT(blocks, 10);
    OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, bounded, NULL, 0, 0));
    EXPECT(block, 64);
    EXPECT(grid, 16 * 16);
}

static void addresses(void) {
    void *function = NULL;
    int status = -1;
    OK(cuGetProcAddress_v2("cuMemAlloc", &function, 12000, 0, &status));
    EXPECT(status, CU_GET_PROC_ADDRESS_SUCCESS);
    OK(cuGetProcAddress_v2("cuNoSuchThing", &function, 12000, 0, &status));
    EXPECT(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
    EXPECT(function == NULL, 1);
    OK(cuGetProcAddress_v2("cuMemAlloc", &function, 2000, 0, &status));
    EXPECT(status, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
    void *plain = NULL, *own = NULL;
    OK(cuGetProcAddress_v2("cuLaunchKernel", &plain, 12000, 0, NULL));
    OK(cuGetProcAddress_v2("cuLaunchKernel", &own, 12000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM, NULL));
    EXPECT(plain == own, 0);
}

int main(void) {
    setenv("ACCELPOOL_EMU_DEVICE", "memory_mib=64;cc=8.6;sm=16", 1);
    CUcontext context = open_device();
    size_t free_before = 0, free_after = 0;
    OK(cuMemGetInfo_v2(&free_before, NULL));
    module = load_kernels();
    images();
    fat_binaries();
    symbols();
    launches();
    libraries();
    linking();
    occupancy();
    addresses();
    OK(cuModuleUnload(module));
    OK(cuMemGetInfo_v2(&free_after, NULL));
    EXPECT(free_after, free_before);
    OK(cuDevicePrimaryCtxRelease_v2(0));
    EXPECT(cuCtxSynchronize(), CUDA_ERROR_CONTEXT_IS_DESTROYED);
    EXPECT(cuDevicePrimaryCtxRelease_v2(0), CUDA_ERROR_INVALID_CONTEXT);
    (void)context;
    return verdict("emu_modules");
}
