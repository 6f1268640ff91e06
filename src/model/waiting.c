/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Steps do not go along: they would be measured from the begin of another save, by clocks of other boots. */

#include "model/waiting.h"

#include "base/text.h"

#include <string.h>

static bool is_taken(const Ticket *ticket, const Ticket *waiting, const char *name) {
        return ticket_find(ticket, name) || ticket_find(waiting, name);
}

static int rename_tree(Tree *tree, const Ticket *ticket, const Ticket *waiting) {
        _cleanup_(freep) char *base = strdup(tree->name);

        if (!base)
                return -ENOMEM;
        for (size_t i = 2;; i++) {
                _cleanup_(freep) char *name = text_format("%s.%zu", base, i);

                if (!name)
                        return -ENOMEM;
                if (!is_taken(ticket, waiting, name))
                        return model_set_string(&tree->name, name);
        }
}

int waiting_name_apart(Ticket *ticket, const Ticket *waiting) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ticket->n_trees; i++)
                if (ticket_find(waiting, ticket->trees[i]->name))
                        r = rename_tree(ticket->trees[i], ticket, waiting);
        return r;
}

static int add_tree(Ticket *ticket, const Tree *tree) {
        Tree *copy = model_copy(tree);

        if (!copy || model_append(ticket->trees, ticket->n_trees, copy) < 0) {
                model_free(copy);
                return -ENOMEM;
        }
        model_free(TAKE(copy->outcome));
        return 0;
}

static int add_driver(Ticket *ticket, const char *driver) {
        char *copy;

        for (size_t i = 0; i < ticket->n_drivers; i++)
                if (strcmp(ticket->drivers[i], driver) == 0)
                        return 0;
        copy = strdup(driver);
        if (!copy || model_append(ticket->drivers, ticket->n_drivers, copy) < 0) {
                free(copy);
                return -ENOMEM;
        }
        return 0;
}

int waiting_join(Ticket *ticket, const Ticket *waiting) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < waiting->n_trees; i++)
                if (!waiting->trees[i]->outcome ||
                    waiting->trees[i]->outcome->state == OUTCOME__STATE__PENDING)
                        r = add_tree(ticket, waiting->trees[i]);
        for (size_t i = 0; r >= 0 && i < waiting->n_drivers; i++)
                r = add_driver(ticket, waiting->drivers[i]);
        if (waiting->encrypted)
                ticket->has_encrypted = ticket->encrypted = true;
        return r;
}

int waiting_join_tracking(Ticket *ticket, const Ticket *waiting) {
        for (size_t i = 0; i < waiting->n_conntrack; i++) {
                ProtobufCBinaryData copy = {0};

                if (model_set_bytes(&copy, waiting->conntrack[i].data, waiting->conntrack[i].len) < 0 ||
                    model_append(ticket->conntrack, ticket->n_conntrack, copy) < 0) {
                        free(copy.data);
                        return -ENOMEM;
                }
        }
        return 0;
}

void waiting_part(Ticket *ticket, size_t n) {
        while (ticket->n_trees > n)
                model_free(ticket->trees[--ticket->n_trees]);
}
