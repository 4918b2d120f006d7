/* SPDX-License-Identifier: Apache-2.0 */
/* The layer below aclrt: rt.c knows kernels, rt_launch.c launches them. */
#ifndef ACCELPOOL_CLIENT_ACL_RT_H
#define ACCELPOOL_CLIENT_ACL_RT_H

#include "client.h"

/* The kernel that a host function stands for, or that has a number in a binary. A status. */
int rt_kernel_by_stub(struct device *device, const void *function, aclrtFuncHandle *kernel);
int rt_kernel_by_number(struct device *device, void *binary, uint64_t number, aclrtFuncHandle *kernel);

#endif
