/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of AscendCL's client library share. Functions that return int return a status of the shared files, of the
 * worker or of AscendCL: CLIENT_STATUS makes an aclError of it, and remembers it as the thread's last error.
 */
#ifndef ACCELPOOL_CLIENT_ACL_H
#define ACCELPOOL_CLIENT_ACL_H

#include <stdbool.h>

#include "acl_abi.h"
#include "process.h"

typedef struct aclCANNPackageVersion aclCANNPackageVersion;
struct MsprofApi;
typedef int32_t (*ProfCommandHandle)(uint32_t type, void *data, uint32_t length);
typedef void (*rtStreamStateCallback)(aclrtStream stream, const bool isCreate);

/* rtArgsEx_t: where the addresses of what lies further on in the arguments have to be stored. */
struct rt_arguments {
    void *args;
    const aclrtPlaceHolderInfo *inputs;
    uint32_t size, tiling_address, tiling_data;
    uint16_t input_count;
    uint8_t has_tiling, on_device; /* on_device: args is a device address already */
    uint8_t reserved[4];
};
_Static_assert(sizeof(struct rt_arguments) == 40, "rtArgsEx_t");

/* rtTaskCfgInfo_t, as far as it was the same in every release. */
struct rt_task_settings {
    uint8_t qos, part, schedule;
};

/* rtDevBinary_t */
struct rt_binary {
    uint32_t magic, version;
    const void *data;
    uint64_t length;
};

#include "acl_prototypes.h"

enum {
    CLIENT_INVALID_VALUE = ACL_ERROR_RT_PARAM_INVALID,
    CLIENT_OUT_OF_MEMORY = ACL_ERROR_RT_RESOURCE_ALLOC_FAIL,
    CLIENT_NOT_SUPPORTED = ACL_ERROR_RT_FEATURE_NOT_SUPPORT,
};

/* --- errors.c ----------------------------------------------------------------------------------------------------- */

aclError client_status(int status);
#define CLIENT_STATUS(status) client_status(status)
/* For symbols that are exported and not carried: 207000, and the name once on stderr. */
aclError client_unsupported(const char *name, atomic_int *said);

/* --- state.c ------------------------------------------------------------------------------------------------------ */

/* The current context's device. Every call on a device begins with it. */
int client_enter(struct device **device);
/* Who owns the streams that this thread makes: its current context. */
void *client_context(void);

/* --- platform.c --------------------------------------------------------------------------------------------------- */

/* Once a device is set: CANN's operators in the program learn which chip it is. Later calls do nothing. */
void client_platform_start(void);

/* --- memory.c ----------------------------------------------------------------------------------------------------- */

/* 107000 unless [address, address + bytes) lies within one allocation of the device. */
int client_range(struct device *device, const void *address, uint64_t bytes);

/* --- ipc.c -------------------------------------------------------------------------------------------------------- */

/* Whether this process has ever shared memory with another one. */
bool client_shares(void);
/* 1 when another process made it: then that records it, and this one waits. */
int client_event_is_foreign(aclrtEvent event);

/* --- stream.c ----------------------------------------------------------------------------------------------------- */

/* The wire's number of a stream of the current context, whose device this is; NULL is the default one. */
int client_stream(struct device *device, aclrtStream stream, uint64_t *id);
/* Ends the streams that a context of the device owns. */
void client_streams_end(struct device *device, const void *context);

/* --- stream_state.c ----------------------------------------------------------------------------------------------- */

/* Tells the program's functions that the stream was made, or is about to end. */
void client_stream_told(aclrtStream stream, bool made);

#endif
