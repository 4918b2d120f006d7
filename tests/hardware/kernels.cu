// SPDX-License-Identifier: Apache-2.0
// The kernels of the hardware suite, built beforehand into PTX and cubins (tools/hw/build.sh).

// c = a * b, row by row; n is a multiple of 16.
extern "C" __global__ void gemm(const float *a, const float *b, float *c, int n) {
    __shared__ float left[16][16], right[16][16];
    int row = blockIdx.y * 16 + threadIdx.y, column = blockIdx.x * 16 + threadIdx.x;
    float sum = 0;
    for (int tile = 0; tile < n; tile += 16) {
        left[threadIdx.y][threadIdx.x] = a[row * n + tile + threadIdx.x];
        right[threadIdx.y][threadIdx.x] = b[(tile + threadIdx.y) * n + column];
        __syncthreads();
        for (int i = 0; i < 16; i++)
            sum += left[threadIdx.y][i] * right[i][threadIdx.x];
        __syncthreads();
    }
    c[row * n + column] = sum;
}

// a = b + factor * c: bound by memory.
extern "C" __global__ void triad(float *a, const float *b, const float *c, float factor, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        a[i] = b[i] + factor * c[i];
}

// Nothing worth mentioning: bound by launches.
extern "C" __global__ void step(int *counter) {
    if (threadIdx.x == 0 && blockIdx.x == 0)
        *counter += 1;
}

// Says how many they are.
extern "C" __global__ void talk(int threads) {
    if (threadIdx.x == threads - 1)
        printf("{\"threads\": %d}\n", threads);
}

// Writes where it may not.
extern "C" __global__ void stray(int *nowhere) {
    nowhere[1ull << 40] = 1;
}

// Counts the bytes that are not zero.
extern "C" __global__ void remains(const unsigned *words, unsigned long long count, unsigned long long *found) {
    unsigned long long mine = 0, i = blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x;
    for (; i < count; i += (unsigned long long)gridDim.x * blockDim.x)
        mine += words[i] != 0;
    if (mine)
        atomicAdd(found, mine);
}
