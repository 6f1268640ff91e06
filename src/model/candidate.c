/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "model/candidate.h"

#include "base/text.h"

#include <string.h>

static void candidate_done(Candidate *c, bool given) {
        if (!given)
                model_free(c->tree);
        verdict_done(&c->verdict);
}

void candidates_forget(Candidates *c) {
        for (size_t i = 0; i < c->n; i++) {
                verdict_done(&c->items[i].verdict);
                c->items[i].needs = c->items[i].limit = (StoreShare){0};
        }
        c->full = snapshot_free(c->full);
        verdict_done(&c->machine);
        c->judged = false;
}

void candidates_done(Candidates *c) {
        for (size_t i = 0; i < c->n; i++)
                candidate_done(c->items + i, c->given);
        for (size_t i = 0; i < c->n_gone; i++)
                free(c->gone[i]);
        free(c->items);
        free(c->gone);
        free(c->refused);
        (void)snapshot_free(c->full);
        verdict_done(&c->machine);
        *c = (Candidates){0};
}

int candidates_add(Candidates *c, Tree *tree) {
        int r = model_append(c->items, c->n, (Candidate){.tree = tree});

        if (r < 0)
                model_free(tree);
        return r;
}

Tree **candidates_trees(const Candidates *c) {
        Tree **trees = c->n > 0 ? calloc(c->n, sizeof *trees) : NULL;

        for (size_t i = 0; trees && i < c->n; i++)
                trees[i] = c->items[i].tree;
        return trees;
}

int candidates_give(Candidates *c, Ticket *ticket) {
        Tree **trees = candidates_trees(c);

        if (!trees && c->n > 0)
                return -ENOMEM;
        for (size_t i = 0; i < ticket->n_trees; i++)
                model_free(ticket->trees[i]);
        free(ticket->trees);
        ticket->trees = trees;
        ticket->n_trees = c->n;
        c->given = true;
        return 0;
}

void candidates_remove(Candidates *c, size_t i) {
        candidate_done(c->items + i, c->given);
        c->n--;
        memmove(c->items + i, c->items + i + 1, (c->n - i) * sizeof *c->items);
}

VerdictLevel candidates_level(const Candidates *c) {
        VerdictLevel worst = c->machine.level;

        for (size_t i = 0; i < c->n; i++)
                if (c->items[i].verdict.level > worst)
                        worst = c->items[i].verdict.level;
        return worst;
}

bool candidates_refused(const Candidates *c, char **ret) {
        const VerdictNote *note = verdict_refusal(&c->machine);

        for (size_t i = 0; !note && i < c->n; i++)
                note = verdict_refusal(&c->items[i].verdict);
        *ret = note ? text_format("%s%s%s", note->text, note->remedy ? "; " : "", note->remedy ?: "") : NULL;
        return note;
}
