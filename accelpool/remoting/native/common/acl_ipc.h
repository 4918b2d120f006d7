/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of memory that sessions of one slice share: written by hand, as those of acl_launch.h. */
#ifndef ACCELPOOL_ACL_IPC_H
#define ACCELPOOL_ACL_IPC_H

#include "wire.h"

#define WIRE_ACL_KEY 64u          /* bytes of text that the agent chose; programs see a NUL behind them */
#define WIRE_ACL_PROCESSES 1024u  /* process numbers of one SetImportPid */

struct wire_acl_export {
    uint64_t address, bytes;
    uint32_t any_process, zero32; /* any_process 0: only those of SetImportPid */
} WIRE_PACKED;

struct wire_acl_export_reply {
    struct wire_reply reply;
    char key[WIRE_ACL_KEY];
} WIRE_PACKED;

/* Followed by count times int32_t. */
struct wire_acl_allow {
    char key[WIRE_ACL_KEY];
    uint32_t count, zero32;
} WIRE_PACKED;

/* address 0: only says how much room it takes. Otherwise that much, in whole granules, is free there. */
struct wire_acl_import {
    char key[WIRE_ACL_KEY];
    int32_t process;
    uint32_t zero32;
    uint64_t address;
} WIRE_PACKED;

struct wire_acl_import_reply {
    struct wire_reply reply;
    uint64_t length;        /* bytes of whole granules */
    uint64_t offset, bytes; /* where in them the memory is that was exported */
} WIRE_PACKED;

struct wire_acl_event {
    uint64_t event;
} WIRE_PACKED;

/* The key is what the program has for the event's handle. */
struct wire_acl_event_open {
    char key[WIRE_ACL_KEY];
    uint64_t event; /* the client's new number */
} WIRE_PACKED;

/* address 0: ends the export of the key, which is this session's; otherwise the import of length bytes there. */
struct wire_acl_close {
    char key[WIRE_ACL_KEY];
    uint64_t address, length;
} WIRE_PACKED;

#endif
