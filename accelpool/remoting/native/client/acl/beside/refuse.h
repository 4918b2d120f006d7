/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals of the libraries beside libacl_rt.so, in its words: the vendor's code, and once on stderr which call and why. */
#ifndef ACCELPOOL_CLIENT_ACL_REFUSE_H
#define ACCELPOOL_CLIENT_ACL_REFUSE_H

#include <stdatomic.h>
#include <stdio.h>

#define EXPORT __attribute__((visibility("default")))

/* said: of this call. Returns the code. */
static inline int refuse(const char *name, atomic_int *said, int code, const char *reason)
{
    if (!atomic_exchange(said, 1))
        fprintf(stderr, "accelpool: %s is not carried: the program gets %d (%s)\n", name, code, reason);
    return code;
}

/* Defines a function that refuses, whatever it is called with. */
#define REFUSED(name, code, reason)                   \
    EXPORT int name(void);                            \
    EXPORT int name(void)                             \
    {                                                 \
        static atomic_int said;                       \
                                                      \
        return refuse(#name, &said, code, reason);    \
    }

#endif
