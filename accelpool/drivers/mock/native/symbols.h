/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACCELPOOL_EMU_SYMBOLS_H
#define ACCELPOOL_EMU_SYMBOLS_H

#include <stddef.h>

struct symbol {
    const char *name;
    int version, per_thread;
    void (*function)(void);
};
extern const struct symbol symbols[]; /* up to a NULL name */

#endif
