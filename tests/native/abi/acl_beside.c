/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiles only if the library of that name defines what the vendor's public header declares: the same prototypes for what
 * it answers, the name for what it refuses.
 */
#include <acl/acl_op_compiler.h>
#include <acl/error_codes/rt_error_codes.h>

#define ACCELPOOL_ACL_ABI_H /* the vendor's headers in place of ours */
#define ACCELPOOL_CLIENT_ACL_REFUSE_H
#define EXPORT
#define REFUSED(name, code, reason) _Static_assert(sizeof(&name) != 0, #name " is declared");
#define refuse(name, said, code, reason) (*(said) = (code))
typedef int atomic_int;

#include "acl_op_compiler.c"
