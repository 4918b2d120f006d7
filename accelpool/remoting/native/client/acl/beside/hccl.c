/* SPDX-License-Identifier: Apache-2.0 */
/* libhccl.so: collective communication runs between devices, not between their remote users; it is refused. */
#include "refuse.h"

enum { HCCL_E_NOT_SUPPORT = 5 }; /* HcclResult */

#define REASON "devices of different slices do not talk to each other"
#define REFUSED_HERE(name) REFUSED(name, HCCL_E_NOT_SUPPORT, REASON)

REFUSED_HERE(HcclAllGather)
REFUSED_HERE(HcclAllGatherV)
REFUSED_HERE(HcclAllReduce)
REFUSED_HERE(HcclAlltoAll)
REFUSED_HERE(HcclAlltoAllV)
REFUSED_HERE(HcclBatchSendRecv)
REFUSED_HERE(HcclBroadcast)
REFUSED_HERE(HcclCommActivateCommMemory)
REFUSED_HERE(HcclCommDeactivateCommMemory)
REFUSED_HERE(HcclCommDeregister)
REFUSED_HERE(HcclCommDestroy)
REFUSED_HERE(HcclCommExchangeMem)
REFUSED_HERE(HcclCommInitAll)
REFUSED_HERE(HcclCommInitClusterInfoConfig)
REFUSED_HERE(HcclCommInitRootInfo)
REFUSED_HERE(HcclCommInitRootInfoConfig)
REFUSED_HERE(HcclCommRegister)
REFUSED_HERE(HcclCommResume)
REFUSED_HERE(HcclCommSetMemoryRange)
REFUSED_HERE(HcclCommUnsetMemoryRange)
REFUSED_HERE(HcclCommWorkingDevNicSet)
REFUSED_HERE(HcclCreateSubCommConfig)
REFUSED_HERE(HcclGetCommAsyncError)
REFUSED_HERE(HcclGetCommName)
REFUSED_HERE(HcclGetRootInfo)
REFUSED_HERE(HcclRecv)
REFUSED_HERE(HcclReduce)
REFUSED_HERE(HcclReduceScatter)
REFUSED_HERE(HcclReduceScatterV)
REFUSED_HERE(HcclScatter)
REFUSED_HERE(HcclSend)
REFUSED_HERE(HcclSetConfig)

REFUSED(HcclGetCommConfigCapability, 0, REASON) /* answers how many settings a communicator takes */
