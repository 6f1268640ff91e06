/* SPDX-License-Identifier: GPL-2.0-or-later */

#define SD_JOURNAL_SUPPRESS_LOCATION /* the place would always be this file */

#include "report/event.h"

#include "base/clock.h"
#include "report/message-ids.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>

typedef struct EventText {
        const char *id;
        int priority;
        const char *text;
} EventText;

static const EventText texts[EVENT_KINDS_] = {
                [EVENT_SAVE_BEGUN] = {MESSAGE_SAVE_BEGUN, LOG_INFO, "save started"},
                [EVENT_TREE_SAVED] = {MESSAGE_TREE_SAVED, LOG_INFO, "saved"},
                [EVENT_TREE_REFUSED] = {MESSAGE_TREE_REFUSED, LOG_WARNING, "not saved, left running"},
                [EVENT_SEALED] = {MESSAGE_SEALED, LOG_NOTICE, "ticket sealed"},
                [EVENT_JUMP_LOADED] = {MESSAGE_JUMP_LOADED, LOG_INFO, "next kernel loaded"},
                [EVENT_JUMP_FAILED] = {MESSAGE_JUMP_FAILED, LOG_ERR, "cannot jump into the next kernel"},
                [EVENT_CLAIMED] = {MESSAGE_CLAIMED, LOG_INFO, "ticket claimed, restore started"},
                [EVENT_HOLD_MISSING] = {MESSAGE_HOLD_MISSING, LOG_ERR,
                                        "the hold on the connections was missing"},
                [EVENT_TREE_CARRIED] = {MESSAGE_TREE_CARRIED, LOG_NOTICE, "carried"},
                [EVENT_TREE_FAILED] = {MESSAGE_TREE_FAILED, LOG_ERR, "restore failed"},
                [EVENT_TREE_LOST] = {MESSAGE_TREE_LOST, LOG_ERR, "restore started, its result is unknown"},
                [EVENT_SAVE_STOPPED] = {MESSAGE_SAVE_STOPPED, LOG_WARNING,
                                        "save stopped, all trees left running"},
                [EVENT_TREE_UNSEALED] = {MESSAGE_TREE_UNSEALED, LOG_ERR,
                                         "the machine went down before the save was complete"},
                [EVENT_ALL_CARRIED] = {MESSAGE_ALL_CARRIED, LOG_NOTICE, "all trees carried"},
};

#define FIELDS_MAX 10
#define FIELD_SIZE 1400 /* one sentence of base/err, which holds 1200 bytes, and its name */

typedef struct Fields {
        struct iovec vector[FIELDS_MAX];
        int n;
        char bytes[FIELDS_MAX][FIELD_SIZE];
} Fields;

static void add(Fields *f, const char *name, const char *value) {
        int n;

        if (!value || f->n == FIELDS_MAX)
                return;
        n = snprintf(f->bytes[f->n], FIELD_SIZE, "%s=%s", name, value);
        if (n < 0)
                return;
        f->vector[f->n].iov_base = f->bytes[f->n];
        f->vector[f->n].iov_len = n < FIELD_SIZE ? (size_t)n : FIELD_SIZE - 1;
        f->n++;
}

static void add_number(Fields *f, const char *name, uint64_t value) {
        char text[24];

        snprintf(text, sizeof text, "%" PRIu64, value);
        add(f, name, text);
}

/* "session-4: carried after 12.40 s", "session-4: not saved, it was left as it is: an io_uring is open" */
static void add_message(Fields *f, const EventText *t, const Event *event) {
        char line[FIELD_SIZE], gap[40] = "";

        if (event->gap_usec)
                snprintf(gap, sizeof gap, " after %.2f s", (double)event->gap_usec / USEC_PER_SEC);
        snprintf(line, sizeof line, "%s%s%s%s%s%s%s%s", event->tree ?: "", event->tree ? ": " : "", t->text,
                 gap, event->kernel ? ", kernel " : "", event->kernel ?: "", event->reason ? ": " : "",
                 event->reason ?: "");
        add(f, "MESSAGE", line);
}

void report_event(const Event *event) {
        const EventText *t = &texts[event->kind];
        Fields f = {.n = 0};
        char gap[40];

        add_message(&f, t, event);
        add(&f, "MESSAGE_ID", t->id);
        add_number(&f, "PRIORITY", (uint64_t)t->priority);
        add(&f, "SYSLOG_IDENTIFIER", "carryover");
        add(&f, "CARRYOVER_TICKET", event->ticket);
        add(&f, "CARRYOVER_TREE", event->tree);
        add(&f, "CARRYOVER_REASON", event->reason);
        add(&f, "CARRYOVER_KERNEL", event->kernel);
        if (event->gap_usec) {
                snprintf(gap, sizeof gap, "%.1f s", (double)event->gap_usec / USEC_PER_SEC);
                add(&f, "CARRYOVER_GAP", gap);
                add_number(&f, "CARRYOVER_GAP_USEC", event->gap_usec);
        }
        (void)sd_journal_sendv(f.vector, f.n);
}
