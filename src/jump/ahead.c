/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/cleanup.h"
#include "base/err.h"
#include "jump/jump.h"
#include "model/connections.h"
#include "model/waiting.h"
#include "netfilter/hold.h"
#include "store/key.h"

#include <string.h>

/* Processes that may still be born in the kept sessions between the load and the freeze, generously. */
#define PIDS_UNTIL_SAVED 1000u

static int early_of_all(const Config *config, const Candidates *trees, const Ticket *waiting, Early **ret) {
        _cleanup_(freep) Tree **own = candidates_trees(trees);
        _cleanup_(ticket_freep) Ticket *all = NULL;
        Ticket ticket = TICKET__INIT;
        int r;

        if (!own && trees->n > 0)
                return -ENOMEM;
        ticket.id = (char *)"loaded-before-the-save";
        ticket.hold_backend = (char *)hold_backend_text(config->hold);
        ticket.trees = own;
        ticket.n_trees = trees->n;
        all = model_copy(&ticket);
        r = !all ? -ENOMEM : waiting ? waiting_join(all, waiting) : 0;
        return r < 0 ? err_pass(r) : err_pass(early_of(all, ret));
}

static int add_key(Early *early, Request *request) {
        uint8_t key[BOX_KEY], mark[DIGEST_SIZE];
        int r = store_key_draw(key);

        if (r >= 0)
                r = store_key_mark(key, mark);
        if (r >= 0)
                r = early_set_key(early, key);
        if (r >= 0)
                r = model_set_bytes(&request->key_mark, mark, sizeof mark);
        request->has_key_mark = r >= 0;
        explicit_bzero(key, sizeof key);
        return r < 0 ? err_pass(r) : 0;
}

int jump_load_ahead(const Kernel *kernel, const char *append, const Config *config, const Candidates *trees,
                    const Ticket *waiting, Request *request) {
        _cleanup_(early_freep) Early *early = NULL;
        int r = early_of_all(config, trees, waiting, &early);

        if (r < 0)
                return err_pass(r);
        early->max_pid += PIDS_UNTIL_SAVED;
        if (config->encrypt)
                r = add_key(early, request);
        if (r >= 0)
                r = jump_load(kernel, append, early);
        early_forget_key(early); /* the request is a file */
        if (r < 0)
                return err_pass(r);
        request->loaded = TAKE(early);
        return 0;
}
