/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "inspect/waiting.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "netlink/network.h"
#include "report/report.h"

#include <string.h>

/* Takes out what is known to have ended. */
static int leave_pending(const Store *store, Ticket *ticket) {
        size_t left = 0;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ticket->n_trees; i++)
                if (report_state(ticket->trees[i]) == OUTCOME__STATE__PENDING)
                        r = store_tree_recall(store, ticket->id, ticket->trees + i);
        if (r < 0)
                return err_pass(r);
        for (size_t i = 0; i < ticket->n_trees; i++)
                if (report_state(ticket->trees[i]) == OUTCOME__STATE__PENDING)
                        ticket->trees[left++] = ticket->trees[i];
                else
                        model_free(ticket->trees[i]);
        ticket->n_trees = left;
        return left == 0;
}

int waiting_find(const Store *store, Ticket **ret) {
        _cleanup_(ticket_freep) Ticket *ticket = NULL;
        bool ours;
        int r = store_waiting(store, &ticket);

        if (r == -EEXIST) {
                ErrRecord why = err_keep();

                if (run_lock_wait("restore", 0, now_monotonic()) != -ETIMEDOUT) {
                        err_put_back(&why);
                        return err_pass(-EEXIST);
                }
                r = store_claimed(store, &ticket, &ours);
                if (r == 0)
                        r = leave_pending(store, ticket);
        }
        if (r != 0)
                return r < 0 ? err_pass(r) : r;
        *ret = TAKE(ticket);
        return 0;
}

char *waiting_text(const Ticket *waiting) {
        _cleanup_(freep) char *names = strdup("");

        for (size_t i = 0; names && i < waiting->n_trees; i++) {
                const Tree *tree = waiting->trees[i];
                int r = network_wait(tree, now_monotonic(), -1);
                char *longer = text_format("%s%s%s%s%s%s", names, i ? ", " : "", tree->name,
                                           r < 0 ? " (" : "", r < 0 ? err_text(r) : "", r < 0 ? ")" : "");

                free(names);
                names = longer;
        }
        return names ? text_format("%zu of the last save %s not restored yet and would be carried along: %s",
                                   waiting->n_trees, waiting->n_trees == 1 ? "is" : "are", names)
                     : NULL;
}
