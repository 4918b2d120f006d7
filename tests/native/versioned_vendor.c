/* SPDX-License-Identifier: Apache-2.0 */
/* The emulated Ascend device as another release of CANN has it: version 1.MINOR.3, and platform values of any length. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int aclrtGetVersion(int32_t *major, int32_t *minor, int32_t *patch)
{
    *major = 1, *minor = MINOR, *patch = 3;
    return 0;
}

int32_t rtGetSocSpec(const char *label, const char *key, char *value, uint32_t room)
{
    const size_t length = strtoul(key, NULL, 10);

    if (strcmp(label, "long") || length >= room)
        return 107000;
    memset(value, 'v', length);
    value[length] = '\0';
    return 0;
}
