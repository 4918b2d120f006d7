/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libacl_op_compiler.so: compiling operators at run time needs the device's own compiler service, so it is refused. The
 * one option that programs read says that they need not try.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "acl_abi.h"

#define EXPORT __attribute__((visibility("default")))
#define DISABLED "disable"

enum { JIT_COMPILE = 10 }; /* aclCompileOpt: ACL_OP_JIT_COMPILE */

EXPORT size_t aclGetCompileoptSize(int option);
EXPORT size_t aclGetCompileoptSize(int option)
{
    (void)option;
    return sizeof DISABLED;
}

EXPORT aclError aclGetCompileopt(int option, char *value, size_t length);
EXPORT aclError aclGetCompileopt(int option, char *value, size_t length)
{
    if (option != JIT_COMPILE)
        return ACL_ERROR_RT_FEATURE_NOT_SUPPORT;
    if (!value || length < sizeof DISABLED)
        return ACL_ERROR_RT_PARAM_INVALID;
    memcpy(value, DISABLED, sizeof DISABLED);
    return ACL_SUCCESS;
}

/* Options steer a compiler that is never asked; the only one that would change anything is refused. */
EXPORT aclError aclSetCompileopt(int option, const char *value);
EXPORT aclError aclSetCompileopt(int option, const char *value)
{
    if (option == JIT_COMPILE && (!value || strcmp(value, DISABLED)))
        return ACL_ERROR_RT_FEATURE_NOT_SUPPORT;
    return ACL_SUCCESS;
}

#define REFUSED(name)              \
    EXPORT aclError name(void);    \
    EXPORT aclError name(void)     \
    {                              \
        return ACL_ERROR_RT_FEATURE_NOT_SUPPORT; \
    }
REFUSED(aclopCompile)
REFUSED(aclopCompileAndExecuteV2)
REFUSED(aclGenGraphAndDumpForOp)

EXPORT void *aclCreateGraphDumpOpt(void);
EXPORT void *aclCreateGraphDumpOpt(void)
{
    return NULL;
}

EXPORT aclError aclDestroyGraphDumpOpt(const void *option);
EXPORT aclError aclDestroyGraphDumpOpt(const void *option)
{
    return option ? ACL_ERROR_RT_PARAM_INVALID : ACL_SUCCESS;
}
