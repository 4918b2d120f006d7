/* SPDX-License-Identifier: Apache-2.0 */
/* What the entry points of copies and fills share. */
#ifndef ACCELPOOL_EMU_COPY_H
#define ACCELPOOL_EMU_COPY_H

#include "emu.h"

/* `wait`: the call returns when the work is done. Both need no lock; the stream's sticky error is the answer. */
CUresult plane_submit(struct plane *plane, CUstream stream, bool wait);
CUresult copy_submit(uint64_t to, uint64_t from, uint64_t size, bool to_device, bool from_device, CUstream stream,
                     bool wait);
CUresult fill_submit(CUdeviceptr to, size_t pitch, uint32_t value, unsigned element, size_t width, size_t height,
                     CUstream stream, bool wait);
CUresult copy_2d(const CUDA_MEMCPY2D *copy, CUstream stream, bool wait);
CUresult copy_3d(const CUDA_MEMCPY3D *copy, CUstream stream, bool wait);

#endif
