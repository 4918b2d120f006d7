/* SPDX-License-Identifier: Apache-2.0 */
/* libhccl.so: collective communication runs between devices, not between their remote users; it is refused. */
#include "acl_abi.h"

enum { HCCL_E_NOT_SUPPORT = 5 }; /* HcclResult */

#define REFUSED(name)                                          \
    __attribute__((visibility("default"))) int name(void);     \
    __attribute__((visibility("default"))) int name(void)      \
    {                                                          \
        return HCCL_E_NOT_SUPPORT;                             \
    }
REFUSED(HcclAllGather)
REFUSED(HcclAllGatherV)
REFUSED(HcclAllReduce)
REFUSED(HcclAlltoAll)
REFUSED(HcclAlltoAllV)
REFUSED(HcclBatchSendRecv)
REFUSED(HcclBroadcast)
REFUSED(HcclCommDestroy)
REFUSED(HcclCommInitAll)
REFUSED(HcclCommInitClusterInfoConfig)
REFUSED(HcclCommInitRootInfo)
REFUSED(HcclCommInitRootInfoConfig)
REFUSED(HcclCommWorkingDevNicSet)
REFUSED(HcclCreateSubCommConfig)
REFUSED(HcclGetCommAsyncError)
REFUSED(HcclGetCommName)
REFUSED(HcclGetRootInfo)
REFUSED(HcclRecv)
REFUSED(HcclReduce)
REFUSED(HcclReduceScatter)
REFUSED(HcclReduceScatterV)
REFUSED(HcclScatter)
REFUSED(HcclSend)
REFUSED(HcclSetConfig)
