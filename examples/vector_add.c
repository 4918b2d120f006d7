/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ordinary program on the CUDA driver API: nothing in it knows about accelpool.
 *
 *     gcc -O2 -o vector_add vector_add.c -lcuda
 *
 * It needs no vendor header: the few functions that it calls are declared here.
 */
#include <stdio.h>
#include <stdlib.h>

typedef int CUresult, CUdevice;
typedef unsigned long long CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUstream_st *CUstream;

extern CUresult cuInit(unsigned flags);
extern CUresult cuGetErrorName(CUresult error, const char **name);
extern CUresult cuDeviceGet(CUdevice *device, int ordinal);
extern CUresult cuDeviceGetName(char *name, int length, CUdevice device);
extern CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device);
extern CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device);
extern CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device);
extern CUresult cuCtxSetCurrent(CUcontext context);
extern CUresult cuModuleLoadData(CUmodule *module, const void *image);
extern CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name);
extern CUresult cuModuleUnload(CUmodule module);
extern CUresult cuMemAlloc_v2(CUdeviceptr *pointer, size_t bytes);
extern CUresult cuMemFree_v2(CUdeviceptr pointer);
extern CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes);
extern CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes);
extern CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                               unsigned block_y, unsigned block_z, unsigned shared_bytes, CUstream stream, void **parameters,
                               void **extra);

/* out[i] = a[i] + b[i] for every i < count. */
static const char PTX[] = ".version 7.0\n"
                          ".target sm_52\n"
                          ".address_size 64\n"
                          ".visible .entry vector_add(.param .u64 a, .param .u64 b, .param .u64 out, .param .u32 count)\n"
                          "{\n"
                          "    .reg .pred %p;\n"
                          "    .reg .b32 %r<5>;\n"
                          "    .reg .b64 %d<8>;\n"
                          "    .reg .f32 %f<4>;\n"
                          "    mov.u32 %r1, %ctaid.x;\n"
                          "    mov.u32 %r2, %ntid.x;\n"
                          "    mov.u32 %r3, %tid.x;\n"
                          "    mad.lo.s32 %r1, %r1, %r2, %r3;\n"
                          "    ld.param.u32 %r4, [count];\n"
                          "    setp.ge.u32 %p, %r1, %r4;\n"
                          "    @%p bra done;\n"
                          "    ld.param.u64 %d1, [a];\n"
                          "    ld.param.u64 %d2, [b];\n"
                          "    ld.param.u64 %d3, [out];\n"
                          "    cvta.to.global.u64 %d1, %d1;\n"
                          "    cvta.to.global.u64 %d2, %d2;\n"
                          "    cvta.to.global.u64 %d3, %d3;\n"
                          "    mul.wide.u32 %d4, %r1, 4;\n"
                          "    add.s64 %d5, %d1, %d4;\n"
                          "    add.s64 %d6, %d2, %d4;\n"
                          "    add.s64 %d7, %d3, %d4;\n"
                          "    ld.global.f32 %f1, [%d5];\n"
                          "    ld.global.f32 %f2, [%d6];\n"
                          "    add.f32 %f3, %f1, %f2;\n"
                          "    st.global.f32 [%d7], %f3;\n"
                          "done:\n"
                          "    ret;\n"
                          "}\n";

enum { COUNT = 1000003, THREADS = 256 };

static void check(CUresult error, const char *call)
{
    const char *name = "unknown error";

    if (!error)
        return;
    cuGetErrorName(error, &name);
    fprintf(stderr, "%s: %s (%d)\n", call, name, error);
    exit(1);
}
#define CHECK(call) check(call, #call)

int main(void)
{
    static float a[COUNT], b[COUNT], out[COUNT];
    CUdeviceptr device_a, device_b, device_out;
    CUdevice device;
    CUcontext context;
    CUmodule module;
    CUfunction function;
    char name[256];
    size_t memory;
    unsigned count = COUNT;

    CHECK(cuInit(0));
    CHECK(cuDeviceGet(&device, 0));
    CHECK(cuDeviceGetName(name, sizeof name, device));
    CHECK(cuDeviceTotalMem_v2(&memory, device));
    printf("device: %s, memory: %zu MiB\n", name, memory >> 20);

    CHECK(cuDevicePrimaryCtxRetain(&context, device));
    CHECK(cuCtxSetCurrent(context));
    CHECK(cuModuleLoadData(&module, PTX));
    CHECK(cuModuleGetFunction(&function, module, "vector_add"));

    for (unsigned i = 0; i < COUNT; i++) {
        a[i] = (float)i;
        b[i] = 0.5f * (float)i;
    }
    CHECK(cuMemAlloc_v2(&device_a, sizeof a));
    CHECK(cuMemAlloc_v2(&device_b, sizeof b));
    CHECK(cuMemAlloc_v2(&device_out, sizeof out));
    CHECK(cuMemcpyHtoD_v2(device_a, a, sizeof a));
    CHECK(cuMemcpyHtoD_v2(device_b, b, sizeof b));
    void *parameters[] = {&device_a, &device_b, &device_out, &count};
    CHECK(cuLaunchKernel(function, (COUNT + THREADS - 1) / THREADS, 1, 1, THREADS, 1, 1, 0, NULL, parameters, NULL));
    CHECK(cuMemcpyDtoH_v2(out, device_out, sizeof out));

    for (unsigned i = 0; i < COUNT; i++)
        if (out[i] != a[i] + b[i]) {
            fprintf(stderr, "element %u is %g and not %g\n", i, (double)out[i], (double)(a[i] + b[i]));
            return 1;
        }
    printf("vector add: %d elements, ok\n", COUNT);
    CHECK(cuMemFree_v2(device_a));
    CHECK(cuMemFree_v2(device_b));
    CHECK(cuMemFree_v2(device_out));
    CHECK(cuModuleUnload(module));
    CHECK(cuDevicePrimaryCtxRelease_v2(device));
    return 0;
}
