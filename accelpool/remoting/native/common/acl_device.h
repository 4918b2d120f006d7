/* SPDX-License-Identifier: Apache-2.0 */
/* Which device attributes the session's snapshot carries, in this order: both sides have the same list. */
#ifndef ACCELPOOL_ACL_DEVICE_H
#define ACCELPOOL_ACL_DEVICE_H

/* aclrtDevAttr. Bytes of memory (301) are the slice's, and answered by the client. */
static const int ACL_ATTRIBUTE[] = {
    1,   /* AI CPUs */
    101, /* AI cores */
    102, /* cube units */
    201, /* vector units */
    202, /* threads of a warp */
    203, /* threads of a vector unit */
    204, /* bytes of unified buffer of a vector unit */
    205, 206, 207, /* grid, x y z */
    208, 209,      /* blocks of a grid, threads of a block */
    210, 211, 212, /* block, x y z */
    302, /* bytes of L2 cache */
    402, /* chip */
    406, /* custom operators */
    407, /* main board */
    408, /* connection to the host */
    501, /* cut into vNPUs */
    601, /* architecture */
};
#define ACL_ATTRIBUTES (sizeof ACL_ATTRIBUTE / sizeof *ACL_ATTRIBUTE)

#endif
