/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What CANN's platform files say about a chip, as far as this device has it: labels and keys are those of the files in
 * CANN's public runtime repository (src/platform/platform_config), values the device's own. So are which chips have a
 * register by which cores synchronize, and for which of them it is handed to kernels (src/runtime/config).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "emu_acl.h"

#define NOT_FOUND 0x071A0001 /* of the runtime's internal errors: there is no such label or key */

API const char *aclrtGetSocName(void);
API int32_t rtGetSocSpec(const char *label, const char *key, char *value, uint32_t room);
API int32_t rtGetC2cCtrlAddr(uint64_t *address, uint32_t *length);

/* Nothing of this device is there: its kernels do not synchronize. */
#define SYNC_ADDRESS UINT64_C(0x100004000000)
#define SYNC_BYTES 0x1000u

/* Of those that begin a chip's name the first counts: its series, and the architecture that kernels are built for. */
static const struct {
    const char *series, *architecture;
    uint8_t sync_register, sync_in_kernels;
} chips[] = {
    {"Ascend910B", "2201", 1, 1}, {"Ascend910_93", "2201", 1, 1}, {"Ascend910", "1001", 1, 0},
    {"Ascend310P", "2002", 1, 0}, {"Ascend310B", "3002", 1, 0},   {"Ascend950", "3510", 0, 0},
};

API aclError aclrtGetVersion(int32_t *major, int32_t *minor, int32_t *patch) {
    if (!major || !minor || !patch)
        return ACL_ERROR_RT_PARAM_INVALID;
    *major = 1, *minor = 17, *patch = 0;
    return ACL_SUCCESS;
}

static size_t chip(void) {
    size_t i = 0;
    while (i < sizeof chips / sizeof *chips && strncmp(aclrtGetSocName(), chips[i].series, strlen(chips[i].series)))
        i++;
    return i;
}

static int number(const char *key, uint64_t *value) {
    const uint64_t cores = (uint64_t)emu_device.multiprocessors;
    if (!strcmp(key, "ai_core_cnt") || !strcmp(key, "cube_core_cnt"))
        *value = cores;
    else if (!strcmp(key, "vector_core_cnt"))
        *value = 2 * cores;
    else if (!strcmp(key, "ai_cpu_cnt"))
        *value = 6;
    else if (!strcmp(key, "memory_size"))
        *value = emu_device.total_bytes;
    else if (!strcmp(key, "l2_size"))
        *value = 192 << 20;
    else
        return 0;
    return 1;
}

API int32_t rtGetSocSpec(const char *label, const char *key, char *value, uint32_t room) {
    char text[64] = "";
    const size_t found = chip();
    uint64_t amount;
    if (!label || !key || !value)
        return ACL_ERROR_RT_PARAM_INVALID;
    if (!strcmp(label, "version") && !strcmp(key, "SoC_version"))
        snprintf(text, sizeof text, "%s", aclrtGetSocName());
    else if (!strcmp(label, "version") && !strcmp(key, "Short_SoC_version") && found < sizeof chips / sizeof *chips)
        snprintf(text, sizeof text, "%s", chips[found].series);
    else if (!strcmp(label, "version") && !strcmp(key, "NpuArch") && found < sizeof chips / sizeof *chips)
        snprintf(text, sizeof text, "%s", chips[found].architecture);
    else if (!strcmp(label, "SoCInfo") && number(key, &amount))
        snprintf(text, sizeof text, "%" PRIu64, amount);
    else if (!strcmp(label, "AICoreSpec") && (!strcmp(key, "ubblock_size") || !strcmp(key, "padding_size")))
        snprintf(text, sizeof text, "32");
    else
        return NOT_FOUND;
    if (strlen(text) >= room)
        return ACL_ERROR_RT_PARAM_INVALID;
    memcpy(value, text, strlen(text) + 1);
    return ACL_SUCCESS;
}

API int32_t rtGetC2cCtrlAddr(uint64_t *address, uint32_t *length) {
    const size_t found = chip();
    ACL_TRY(initialised());
    if (!address || !length)
        return ACL_ERROR_RT_PARAM_INVALID;
    if (found == sizeof chips / sizeof *chips || !chips[found].sync_register)
        return ACL_ERROR_RT_FEATURE_NOT_SUPPORT;
    *address = SYNC_ADDRESS;
    *length = SYNC_BYTES;
    return ACL_SUCCESS;
}

API aclError aclrtGetHardwareSyncAddr(void **address) {
    const size_t found = chip();
    uint64_t number;
    uint32_t length;
    if (!address)
        return ACL_ERROR_RT_PARAM_INVALID;
    if (found == sizeof chips / sizeof *chips || !chips[found].sync_in_kernels)
        return ACL_ERROR_RT_FEATURE_NOT_SUPPORT;
    const aclError status = rtGetC2cCtrlAddr(&number, &length);
    if (!status)
        *address = (void *)number;
    return status;
}
