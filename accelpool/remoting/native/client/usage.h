/* SPDX-License-Identifier: Apache-2.0 */
/* What the CUDA client library tells the NVML one beside it: the table that cuGetExportTable() has under this identifier. */
#ifndef ACCELPOOL_CLIENT_USAGE_H
#define ACCELPOOL_CLIENT_USAGE_H

#include <stddef.h>

#define USAGE_TABLE_ID {0x13, 0x2a, 0x19, 0x0a, 0xe3, 0xff, 0xb3, 0xe5, 0x5e, 0xfc, 0x9d, 0xac, 0x87, 0x30, 0x47, 0xef}

struct usage_table {
    size_t size;
    /* Of the current context's slice: percent of the device's time that its sessions used lately. 0, or a CUresult. */
    int (*percent)(unsigned *percent);
};

#endif
