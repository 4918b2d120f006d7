/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of AscendCL that are written by hand: a function's name, a launch, a copy. */
#ifndef ACCELPOOL_ACL_LAUNCH_H
#define ACCELPOOL_ACL_LAUNCH_H

#include "wire.h"

#define WIRE_ACL_NAME_MAX 1024u /* with NUL */
#define WIRE_ACL_ATTRIBUTES 16u
#define WIRE_ACL_PLACES 1024u
#define WIRE_ACL_ARGUMENTS (WIRE_CHUNK_MAX - 65536u) /* bytes */

struct wire_acl_function_head {
    uint64_t module, function; /* client's numbers; the function's is new */
} WIRE_PACKED;

/* Followed by length bytes of name. */
struct wire_acl_function {
    struct wire_acl_function_head head;
    uint32_t length;
} WIRE_PACKED;

struct wire_acl_entry {
    struct wire_acl_function_head head;
    uint64_t entry;
} WIRE_PACKED;

/* Followed by attributes times aclrtLaunchKernelAttr, places times aclrtPlaceHolderInfo, size bytes of arguments. */
struct wire_acl_launch {
    uint64_t function, stream;
    uint32_t blocks, attributes, places, size;
} WIRE_PACKED;

/* On one device. */
struct wire_acl_copy {
    uint64_t destination, source, bytes, stream;
} WIRE_PACKED;

#endif
