/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles only if what the client library defines has the prototypes of the vendor's public headers. */
#include <acl/acl.h>
#include <acl/acl_rt.h>

struct rt_binary;
#include "acl_prototypes.h"
