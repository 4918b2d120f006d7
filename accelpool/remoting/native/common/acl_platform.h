/* SPDX-License-Identifier: Apache-2.0 */
/* What CANN knows of the server's chip and of itself: its version in the snapshot, and frames written by hand as acl_ipc.h's. */
#ifndef ACCELPOOL_ACL_PLATFORM_H
#define ACCELPOOL_ACL_PLATFORM_H

#include "wire.h"

/* AscendCL's version (aclrtGetVersion) as one number that grows with it: the snapshot's driver_version. 0: not told. */
#define ACL_VERSION(major, minor, patch) ((((int32_t)(major) & 0x7ff) << 20) | ((minor) & 0x3ff) << 10 | ((patch) & 0x3ff))
#define ACL_VERSION_MAJOR(version) ((version) >> 20)
#define ACL_VERSION_MINOR(version) ((version) >> 10 & 0x3ff)
#define ACL_VERSION_PATCH(version) ((version) & 0x3ff)

#define WIRE_ACL_NAME 64u   /* bytes of a label or a key, with the NUL behind it */
#define WIRE_ACL_VALUE 512u /* the same of a value */

/* rtGetSocSpec */
struct wire_acl_spec {
    char label[WIRE_ACL_NAME], key[WIRE_ACL_NAME];
    uint32_t room, zero32; /* bytes for the value and its NUL; WIRE_ACL_VALUE at most */
} WIRE_PACKED;

struct wire_acl_spec_reply {
    struct wire_reply reply;
    char value[WIRE_ACL_VALUE];
} WIRE_PACKED;

_Static_assert(sizeof(struct wire_acl_spec) == 136 && sizeof(struct wire_acl_spec_reply) == 520, "rtGetSocSpec");

#endif
