/* SPDX-License-Identifier: Apache-2.0 */
/* Device memory: allocations, virtual memory management, copies, fills, what an address is. */
#include "emu_test.h"

#if defined(__SANITIZE_THREAD__) /* it knows no other part of the address space */
#define CHOSEN 0x7e9000000000ull
#else
#define CHOSEN 0x200000000000ull
#endif
#define MIB ((size_t)1 << 20)
#define GRANULE (2 * MIB)

static void allocations(void) {
    CUdeviceptr a = 0, b = 0, base = 0;
    size_t free_before = 0, free_now = 0, total = 0, size = 0;
    OK(cuMemGetInfo_v2(&free_before, &total));
    EXPECT(total, 64 * MIB);
    EXPECT(cuMemAlloc_v2(&a, 0), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemAlloc_v2(&a, 65 * MIB), CUDA_ERROR_OUT_OF_MEMORY);
    OK(cuMemAlloc_v2(&a, 100));
    OK(cuMemAlloc_v2(&b, 48 * MIB));
    EXPECT(a % 256, 0);
    EXPECT(cuMemAlloc_v2(&base, 32 * MIB), CUDA_ERROR_OUT_OF_MEMORY);
    OK(cuMemGetAddressRange_v2(&base, &size, a + 99));
    EXPECT(base, a);
    EXPECT(size, 100);
    EXPECT(cuMemGetAddressRange_v2(&base, &size, a + 100), CUDA_ERROR_NOT_FOUND);
    EXPECT(cuMemFree_v2(a + 1), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree_v2(a));
    EXPECT(cuMemFree_v2(a), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree_v2(b));
    OK(cuMemFree_v2(0));
    OK(cuMemGetInfo_v2(&free_now, &total));
    EXPECT(free_now, free_before);
}

static void many_small_ones(void) {
    enum { COUNT = 5000 };
    static CUdeviceptr all[COUNT];
    for (int i = 0; i < COUNT; i++) {
        OK(cuMemAlloc_v2(&all[i], 1 + (size_t)i % 3000));
        OK(cuMemsetD8_v2(all[i], (unsigned char)i, 1 + (size_t)i % 3000));
    }
    for (int i = 0; i < COUNT; i++) {
        unsigned char last = 0;
        OK(cuMemcpyDtoH_v2(&last, all[i] + (unsigned)i % 3000, 1));
        EXPECT(last, (unsigned char)i);
        OK(cuMemFree_v2(all[i]));
    }
}

static void copies(void) {
    CUdeviceptr a = 0, b = 0;
    unsigned char out[256], in[256];
    uint32_t words[8] = {0};
    for (unsigned i = 0; i < sizeof in; i++)
        in[i] = (unsigned char)(i * 7);
    OK(cuMemAlloc_v2(&a, MIB));
    OK(cuMemAlloc_v2(&b, MIB));
    OK(cuMemcpyHtoD_v2(a + 1000, in, sizeof in));
    OK(cuMemcpyDtoD_v2(b, a + 1000, sizeof in));
    OK(cuMemcpyDtoH_v2(out, b, sizeof out));
    EXPECT(memcmp(in, out, sizeof in), 0);
    OK(cuMemcpy((CUdeviceptr)(uintptr_t)out, b + 1, 255));
    EXPECT(memcmp(in + 1, out, 255), 0);
    EXPECT(cuMemcpyHtoD_v2(a + MIB - 10, in, 11), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemcpyDtoH_v2(out, 4096, 1), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemcpyDtoD_v2(a, ~0ull - 5, 100), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemcpyHtoD_v2(a, in, 0));
    OK(cuMemsetD16_v2(a, 0x1234, 8));
    OK(cuMemsetD32_v2(a + 16, 0xdeadbeef, 4));
    OK(cuMemcpyDtoH_v2(words, a, 32));
    EXPECT(words[3], 0x12341234);
    EXPECT(words[4], 0xdeadbeef);
    EXPECT(cuMemsetD32_v2(a + 2, 1, 1), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemsetD8_v2(a, 1, MIB + 1), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree_v2(a));
    OK(cuMemFree_v2(b));
}

static void rows(void) {
    CUdeviceptr at = 0;
    size_t pitch = 0;
    unsigned char host[4][10], back[4][10];
    memset(host, 0x5a, sizeof host);
    memset(back, 0, sizeof back);
    OK(cuMemAllocPitch_v2(&at, &pitch, 10, 4, 4));
    EXPECT(pitch >= 10 && pitch % 4 == 0, 1);
    OK(cuMemsetD2D8_v2(at, pitch, 0x11, 10, 4));
    CUDA_MEMCPY2D down = {.srcMemoryType = CU_MEMORYTYPE_DEVICE, .srcDevice = at, .srcPitch = pitch,
                          .dstMemoryType = CU_MEMORYTYPE_HOST, .dstHost = back, .dstPitch = 10,
                          .WidthInBytes = 10, .Height = 4};
    CUDA_MEMCPY2D up = {.srcMemoryType = CU_MEMORYTYPE_HOST, .srcHost = host, .srcPitch = 10,
                        .dstMemoryType = CU_MEMORYTYPE_DEVICE, .dstDevice = at, .dstPitch = pitch,
                        .dstXInBytes = 2, .dstY = 1, .WidthInBytes = 3, .Height = 2};
    OK(cuMemcpy2D_v2(&up));
    OK(cuMemcpy2D_v2(&down));
    EXPECT(back[0][3], 0x11);
    EXPECT(back[1][1], 0x11);
    EXPECT(back[1][2], 0x5a);
    EXPECT(back[2][4], 0x5a);
    EXPECT(back[2][5], 0x11);
    down.WidthInBytes = 11;
    EXPECT(cuMemcpy2D_v2(&down), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree_v2(at));
}

static const CUmemAllocationProp property = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                             .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
static const CUmemAccessDesc open_access = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE},
                                            .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};

static CUmemGenericAllocationHandle map_at(CUdeviceptr at, size_t size) {
    CUmemGenericAllocationHandle handle = 0;
    OK(cuMemCreate(&handle, size, &property, 0));
    OK(cuMemMap(at, size, 0, handle, 0));
    return handle;
}

static void mapping(void) {
    CUdeviceptr base = 0, other = 0;
    CUmemGenericAllocationHandle first, second;
    size_t granularity = 0;
    uint32_t word = 0;
    OK(cuMemGetAllocationGranularity(&granularity, &property, 0));
    EXPECT(granularity, GRANULE);
    EXPECT(cuMemAddressReserve(&base, MIB, 0, 0, 0), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemAddressReserve(&base, 1024 * GRANULE, 0, CHOSEN, 0));
    EXPECT(base, CHOSEN);
    OK(cuMemAddressReserve(&other, GRANULE, 0, base, 0)); /* taken: the address is a hint */
    EXPECT(other == base, 0);
    OK(cuMemAddressFree(other, GRANULE));
    EXPECT(cuMemsetD8_v2(base, 1, 1), CUDA_ERROR_INVALID_VALUE);
    first = map_at(base, GRANULE);
    second = map_at(base + GRANULE, 2 * GRANULE);
    EXPECT(cuMemsetD8_v2(base, 1, 1), CUDA_ERROR_INVALID_VALUE); /* no access yet */
    OK(cuMemSetAccess(base, 3 * GRANULE, &open_access, 1));
    OK(cuMemsetD32_v2(base + GRANULE - 4, 0xabcd, 2)); /* across both */
    EXPECT(cuMemCreate(&first, 65 * MIB + GRANULE - MIB, &property, 0), CUDA_ERROR_OUT_OF_MEMORY);
    EXPECT(cuMemMap(base, GRANULE, 0, first, 0), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemAddressFree(base, 1024 * GRANULE), CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuMemUnmap(base, GRANULE + MIB), CUDA_ERROR_INVALID_VALUE);
    /* a handle that is still held keeps its bytes while it is unmapped */
    OK(cuMemUnmap(base, 3 * GRANULE));
    EXPECT(cuMemsetD8_v2(base, 1, 1), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemMap(base + 8 * GRANULE, 2 * GRANULE, 0, second, 0));
    OK(cuMemSetAccess(base + 8 * GRANULE, 2 * GRANULE, &open_access, 1));
    OK(cuMemcpyDtoH_v2(&word, base + 8 * GRANULE, 4));
    EXPECT(word, 0xabcd);
    /* one that was let go gives its memory back, and what comes next is zero */
    OK(cuMemRelease(second));
    OK(cuMemUnmap(base + 8 * GRANULE, 2 * GRANULE));
    OK(cuMemRelease(first));
    EXPECT(cuMemRelease(first), CUDA_ERROR_INVALID_VALUE);
    first = map_at(base + 8 * GRANULE, 2 * GRANULE);
    OK(cuMemRelease(first));
    OK(cuMemSetAccess(base + 8 * GRANULE, 2 * GRANULE, &open_access, 1));
    OK(cuMemcpyDtoH_v2(&word, base + 8 * GRANULE, 4));
    EXPECT(word, 0);
    OK(cuMemUnmap(base + 8 * GRANULE, 2 * GRANULE));
    OK(cuMemAddressFree(base, 1024 * GRANULE));
}

static void host_memory(void) {
    void *pinned = NULL, *heap = malloc(10000);
    CUdeviceptr at = 0, device = 0;
    int type = 0;
    OK(cuMemAllocHost_v2(&pinned, 5000));
    OK(cuMemHostGetDevicePointer_v2(&at, pinned, 0));
    OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, at));
    EXPECT(type, CU_MEMORYTYPE_HOST);
    OK(cuMemHostRegister_v2(heap, 10000, 0));
    EXPECT(cuMemHostRegister_v2(heap, 10000, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    OK(cuMemHostUnregister(heap));
    EXPECT(cuMemHostUnregister(heap), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    OK(cuMemFreeHost(pinned));
    EXPECT(cuMemFreeHost(pinned), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemAlloc_v2(&device, 512));
    int attributes[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR,
                        CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL};
    CUdeviceptr start = 0;
    int ordinal = -1;
    void *values[] = {&type, &start, &ordinal};
    OK(cuPointerGetAttributes(3, attributes, values, device + 10));
    EXPECT(type, CU_MEMORYTYPE_DEVICE);
    EXPECT(start, device);
    EXPECT(ordinal, 0);
    OK(cuPointerGetAttributes(3, attributes, values, (CUdeviceptr)(uintptr_t)heap));
    EXPECT(type, 0);
    EXPECT(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (CUdeviceptr)(uintptr_t)heap),
           CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree_v2(device));
    free(heap);
}

int main(void) {
    setenv("ACCELPOOL_EMU_DEVICE", "name=Test device;memory_mib=64;cc=8.6;uuid=0123456789abcdef0123456789ABCDEF", 1);
    open_device();
    allocations();
    many_small_ones();
    copies();
    rows();
    mapping();
    host_memory();
    return verdict("emu_memory");
}
