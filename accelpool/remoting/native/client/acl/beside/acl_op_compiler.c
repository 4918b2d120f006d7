/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libacl_op_compiler.so: compiling operators at run time needs the device's own compiler service, so it is refused. The
 * one option that programs read says that they need not try.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "acl_abi.h"
#include "refuse.h"

#define DISABLED "disable"
#define REASON "operators are not compiled at run time"

enum { JIT_COMPILE = 10 }; /* aclCompileOpt: ACL_OP_JIT_COMPILE */
typedef struct aclGraphDumpOption aclGraphDumpOption;

EXPORT size_t aclGetCompileoptSize(aclCompileOpt option);
EXPORT size_t aclGetCompileoptSize(aclCompileOpt option)
{
    (void)option;
    return sizeof DISABLED;
}

EXPORT aclError aclGetCompileopt(aclCompileOpt option, char *value, size_t length);
EXPORT aclError aclGetCompileopt(aclCompileOpt option, char *value, size_t length)
{
    static atomic_int said;

    if (option != JIT_COMPILE)
        return refuse("aclGetCompileopt", &said, ACL_ERROR_RT_FEATURE_NOT_SUPPORT, REASON);
    if (!value || length < sizeof DISABLED)
        return ACL_ERROR_RT_PARAM_INVALID;
    memcpy(value, DISABLED, sizeof DISABLED);
    return ACL_SUCCESS;
}

/* Options steer a compiler that is never asked; the only one that would change anything is refused. */
EXPORT aclError aclSetCompileopt(aclCompileOpt option, const char *value);
EXPORT aclError aclSetCompileopt(aclCompileOpt option, const char *value)
{
    static atomic_int said;

    if (option == JIT_COMPILE && (!value || strcmp(value, DISABLED)))
        return refuse("aclSetCompileopt", &said, ACL_ERROR_RT_FEATURE_NOT_SUPPORT, REASON);
    return ACL_SUCCESS;
}

/* An object and no code: NULL is the refusal. */
EXPORT aclGraphDumpOption *aclCreateGraphDumpOpt(void);
EXPORT aclGraphDumpOption *aclCreateGraphDumpOpt(void)
{
    static atomic_int said;

    refuse("aclCreateGraphDumpOpt", &said, 0, REASON);
    return NULL;
}

REFUSED(aclDestroyGraphDumpOpt, ACL_ERROR_RT_FEATURE_NOT_SUPPORT, REASON)
REFUSED(aclGenGraphAndDumpForOp, ACL_ERROR_RT_FEATURE_NOT_SUPPORT, REASON)
REFUSED(aclopCompile, ACL_ERROR_RT_FEATURE_NOT_SUPPORT, REASON)
REFUSED(aclopCompileAndExecuteV2, ACL_ERROR_RT_FEATURE_NOT_SUPPORT, REASON)
