/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles only if what the client library defines has the prototypes of the vendor's public headers. */
#include <acl/acl.h>
#include <acl/acl_rt.h>
#include <profiling/aprof_pub.h>
/* This one's rtArgsEx_t is of an older release, with offsets of 16 bits. */
#define rtKernelLaunchWithFlag olders_rtKernelLaunchWithFlag
#include <hacl_rt.h>
#undef rtKernelLaunchWithFlag
/* In no header of the wheel, as the function that takes it. */
typedef void (*rtStreamStateCallback)(aclrtStream stream, const _Bool isCreate);

#include "acl_prototypes.h"
