/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Making and changing the messages of proto/ticket.proto by hand. */

#include "base/cleanup.h"

#include "ticket.pb-c.h"

#include <errno.h>
#include <stdbool.h>

/* Frees any message, hand-made or decoded; NULL is fine. */
void model_free(void *message);

static inline void ticket_freep(Ticket **p) {
        model_free(*p);
}
static inline void tree_freep(Tree **p) {
        model_free(*p);
}
static inline void keep_freep(Keep **p) {
        model_free(*p);
}
static inline void early_freep(Early **p) {
        model_free(*p);
}
static inline void step_freep(Step **p) {
        model_free(*p);
}
static inline void session_freep(Session **p) {
        model_free(*p);
}
static inline void request_freep(Request **p) {
        model_free(*p);
}

/* Appends one element to a repeated field and evaluates to 0 or -ENOMEM:
 *     r = model_append(tree->pids, tree->n_pids, pid);            */
#define model_append(array, count, value)                                                                   \
        ({                                                                                                  \
                __typeof__(array) grown_ = reallocarray((array), (count) + 1, sizeof *(array));             \
                if (grown_) {                                                                               \
                        (array) = grown_;                                                                   \
                        (array)[(count)++] = (value);                                                       \
                }                                                                                           \
                grown_ ? 0 : -ENOMEM;                                                                       \
        })

/* Allocates and initialises; NULL on failure. */
#define model_new(type, init)                                                                               \
        ({                                                                                                  \
                type *new_ = malloc(sizeof *new_);                                                          \
                if (new_)                                                                                   \
                        init(new_);                                                                         \
                new_;                                                                                       \
        })

/* Replaces a string field; -ENOMEM. NULL clears it. */
int model_set_string(char **field, const char *value);
/* Replaces a bytes field; -ENOMEM. */
int model_set_bytes(ProtobufCBinaryData *field, const void *data, size_t size);

/* What belongs to the images of a ticket and is in none of them. */
typedef struct ImageKeys {
        const uint8_t *digest; /* of their checksums; NULL: the ticket has no images */
        const uint8_t *box;    /* what they are encrypted with (model/box.h); NULL: they are not */
} ImageKeys;

/* The protobuf copy of a message. */
void *model_copy(const void *message);

/* Appends {what, text, remedy} to tree->degraded. remedy may be NULL. */
int tree_degrade(Tree *tree, const char *what, const char *remedy, const char *format, ...)
                __attribute__((format(printf, 4, 5)));

/* Under which number its root comes back: that which it had in its own PID namespace. */
uint32_t tree_own_root(const Tree *tree);

/* A tree by name, or NULL. */
Tree *ticket_find(const Ticket *ticket, const char *name);

/* Where logind has the FIFO of a login session: in /run/systemd/sessions itself, under NAME.ref. */
bool model_is_session_fifo(const char *path);

/*
 * Whether the restore of one tree of a ticket (by index) must wait until that of another has ended: it has a
 * terminal open whose master the other holds, and would find none. Never in a circle: of trees that hold
 * each other's terminals the first goes first.
 */
bool ticket_waits(const Ticket *ticket, size_t tree, size_t other);
