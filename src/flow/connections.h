/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Views over a ticket's connections. */

#include "model/model.h"

typedef struct Connections {
        Connection **items; /* the ticket's own */
        size_t n;
} Connections;

void connections_done(Connections *c);

/* Those of all trees that are still to come back: outcome pending or none. `but` (or NULL) is left out. */
int connections_of(const Ticket *ticket, const Tree *but, Connections *ret);

/* What the initramfs needs. Free with model_free(). */
int early_of(const Ticket *ticket, Early **ret);
