/* SPDX-License-Identifier: GPL-2.0-or-later */

/* store/ is the real one, in a directory of the test's. Each of these calls is an event, and one that is
 * told to fail does nothing; the linker leads the callers here (--wrap, meson.build). */

#include "store/store.h"

#include "base/fd.h"
#include "store/room.h"
#include "tests/fakes/fake.h"

#define WRAP(function, parameters, subject, arguments)                                                      \
        int __real_##function parameters;                                                                   \
        int __wrap_##function parameters;                                                                   \
        int __wrap_##function parameters {                                                                  \
                int r = fake_call(#function, "%s", subject);                                                \
                return r < 0 ? r : __real_##function arguments;                                             \
        }

WRAP(store_open, (const Config *config, Store *ret), "", (config, ret))
WRAP(store_tree_create, (const Store *store, const char *tree), tree, (store, tree))
WRAP(store_tree_discard, (const Store *store, const char *tree), tree, (store, tree))
WRAP(store_tree_fail, (const Store *store, const char *ticket_id, const char *tree, char **ret_path), tree,
     (store, ticket_id, tree, ret_path))
WRAP(store_tree_retry, (const Store *store, const char *ticket_id, const char *tree), tree,
     (store, ticket_id, tree))
WRAP(store_tree_remove, (const Store *store, const char *tree), tree, (store, tree))
WRAP(store_saving_begin, (const Store *store, const Ticket *ticket), "", (store, ticket))
WRAP(store_saving, (const Store *store, Ticket **ret), "", (store, ret))
WRAP(store_saving_end, (const Store *store), "", (store))
WRAP(store_waiting, (const Store *store, Ticket **ret), "", (store, ret))
WRAP(store_seal, (const Store *store, const Ticket *ticket, const Ticket *waiting), "",
     (store, ticket, waiting))
WRAP(store_amend, (const Store *store, const Ticket *ticket), "", (store, ticket))
WRAP(store_unseal, (const Store *store, const Ticket *waiting), "", (store, waiting))
WRAP(store_ticket, (const Store *store, Ticket **ret), "", (store, ret))
WRAP(store_claim, (const Store *store, const Ticket *ticket), "", (store, ticket))
WRAP(store_take_over, (const Ticket *claimed), "", (claimed))
WRAP(store_claimed, (const Store *store, Ticket **ret, bool *ret_ours), "", (store, ret, ret_ours))
WRAP(store_tree_keep_sealed, (int images_fd), "", (images_fd))
WRAP(store_tree_begin, (int images_fd), "", (images_fd))
WRAP(store_tree_runs, (int images_fd, const Tree *tree), tree->name, (images_fd, tree))
WRAP(store_tree_ran, (int images_fd, const char *name, Tree **ret), "", (images_fd, name, ret))
WRAP(store_tree_done, (const Store *store, const char *ticket_id, const Tree *tree), tree->name,
     (store, ticket_id, tree))
WRAP(store_tree_recall, (const Store *store, const char *ticket_id, Tree **tree), (*tree)->name,
     (store, ticket_id, tree))
WRAP(store_tree_empty, (const Store *store, const char *tree), tree, (store, tree))
WRAP(store_give_back, (const Store *store, const Ticket *rest), "", (store, rest))
WRAP(store_report, (const Store *store, Ticket **ret), "", (store, ret))
WRAP(store_report_write, (const Store *store, const Ticket *report), "", (store, report))
WRAP(store_reserve, (const Store *store, const Ticket *ticket, bool early), "", (store, ticket, early))
WRAP(store_tree_reserve, (int images_fd, const Tree *tree), tree->name, (images_fd, tree))
WRAP(store_space, (const Store *store, StoreSpace *ret), "", (store, ret))
WRAP(run_keep_read, (Keep * *ret), "", (ret))
WRAP(run_request_read, (Request * *ret), "", (ret))
WRAP(run_request_write, (const Request *request), "", (request))
WRAP(run_request_remove, (void), "", ())
WRAP(run_seal_begin, (bool requested), "", (requested))
WRAP(run_seal_take, (void), "", ())
WRAP(run_hold_read, (Early * *ret), "", (ret))
WRAP(run_hold_write, (const Early *early), "", (early))
WRAP(run_hold_remove, (void), "", ())
WRAP(run_huge_read, (RunHuge * ret), "", (ret))
WRAP(run_huge_write, (const RunHuge *huge), "", (huge))
WRAP(run_huge_remove, (void), "", ())
WRAP(run_unreported, (bool unreported), "", (unreported))
WRAP(sync_tree, (int dir_fd), "", (dir_fd))
