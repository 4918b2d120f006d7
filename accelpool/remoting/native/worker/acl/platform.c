/* SPDX-License-Identifier: Apache-2.0 */
/* What CANN's files say about the chip: read by its own library, which reads those of the chip that it has found. */
#include <string.h>

#include "acl.h"
#include "acl_platform.h"
#include "acl_worker.h"
#include "state.h"

void worker_rtGetSocSpec(struct session *s, const struct call *call)
{
    struct wire_acl_spec wire;
    char value[WIRE_ACL_VALUE] = "";

    if (call->length != sizeof wire || !(call->flags & WIRE_WANT_REPLY)) {
        session_end(s, "rtGetSocSpec: malformed");
        return;
    }
    memcpy(&wire, call->payload, sizeof wire);
    if (wire.label[sizeof wire.label - 1] || wire.key[sizeof wire.key - 1] || wire.room > sizeof value) {
        session_end(s, "rtGetSocSpec: malformed");
        return;
    }
    const int status = acl.soc_spec ? acl.soc_spec(wire.label, wire.key, value, wire.room) : CU_NOT_SUPPORTED;
    value[sizeof value - 1] = '\0';
    if (status)
        call_status(s, call, status);
    else
        call_reply(s, call, CU_SUCCESS, value, sizeof value);
}
