/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/connections.h"

#include "base/err.h"

#include <string.h>

void connections_done(Connections *c) {
        free(c->items);
        *c = (Connections){0};
}

static bool is_pending(const Tree *tree) {
        return !tree->outcome || tree->outcome->state == OUTCOME__STATE__PENDING;
}

int connections_of(const Ticket *ticket, const Tree *but, Connections *ret) {
        Connections c = {0};

        for (size_t i = 0; i < ticket->n_trees; i++) {
                const Tree *tree = ticket->trees[i];

                if (tree == but || !is_pending(tree))
                        continue;
                for (size_t j = 0; j < tree->n_connections; j++)
                        if (model_append(c.items, c.n, tree->connections[j]) < 0) {
                                connections_done(&c);
                                return -ENOMEM;
                        }
        }
        *ret = c;
        return 0;
}

int early_of(const Ticket *ticket, Early **ret) {
        _cleanup_(connections_done) Connections all = {0};
        _cleanup_(early_freep) Early *early = model_new(Early, early__init);
        int r;

        if (!early)
                return -ENOMEM;
        r = connections_of(ticket, NULL, &all);
        if (r < 0)
                return err_pass(r);
        for (size_t i = 0; i < ticket->n_trees; i++)
                for (size_t j = 0; j < ticket->trees[i]->n_ids; j++)
                        if (ticket->trees[i]->ids[j] > early->max_pid)
                                early->max_pid = ticket->trees[i]->ids[j];
        for (size_t i = 0; i < all.n; i++) {
                Connection *copy = model_copy(all.items[i]);

                if (!copy || model_append(early->connections, early->n_connections, copy) < 0) {
                        model_free(copy);
                        return -ENOMEM;
                }
        }
        if (model_set_string(&early->ticket_id, ticket->id) < 0 ||
            model_set_string(&early->hold_backend, ticket->hold_backend) < 0)
                return -ENOMEM;
        *ret = TAKE(early);
        return 0;
}
