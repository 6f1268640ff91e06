/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Events for the journal: fixed message ids (report/message-ids.h) and fields, with a catalog. */

#include <stdint.h>

typedef enum EventKind {
        EVENT_SAVE_BEGUN,
        EVENT_TREE_SAVED,
        EVENT_TREE_REFUSED, /* refused or failed before the seal: it is left as it is */
        EVENT_SEALED,
        EVENT_JUMP_LOADED,
        EVENT_JUMP_FAILED,
        EVENT_CLAIMED,
        EVENT_HOLD_MISSING,
        EVENT_TREE_CARRIED,
        EVENT_TREE_FAILED,
        EVENT_TREE_LOST,
        EVENT_SAVE_STOPPED, /* before the seal: every tree is left as it is */
        EVENT_ALL_CARRIED,
        EVENT_TREE_UNSEALED, /* the machine went down in the middle of its save */
        EVENT_KINDS_
} EventKind;

typedef struct Event {
        EventKind kind;
        const char *ticket; /* CARRYOVER_TICKET= its id; this and all below: NULL or 0 to leave out */
        const char *tree;   /* CARRYOVER_TREE= */
        const char *reason; /* CARRYOVER_REASON= a sentence, as err_text() gives it */
        const char *kernel; /* CARRYOVER_KERNEL= of the jump */
        uint64_t gap_usec;  /* CARRYOVER_GAP_USEC=, and CARRYOVER_GAP= as "19.8 s" */
} Event;

/* Sends it, with a MESSAGE= made of the same facts. An event that the journal does not take is no reason to
 * fail whatever it tells of, so nothing is returned. Thread safe. */
void report_event(const Event *event);
