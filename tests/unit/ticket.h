/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A ticket that the store takes, with no tree in it, and a tree that the ticket takes. */

#include "model/digest.h"
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const uint8_t sample_key[DIGEST_KEY] = {7};

static inline Ticket *sample_ticket(const char *id) {
        Ticket *t = model_new(Ticket, ticket__init);

        assert_non_null(t);
        assert_int_equal(model_set_string(&t->id, id), 0);
        assert_int_equal(model_set_string(&t->version, "1"), 0);
        assert_int_equal(model_set_string(&t->old_boot, "b"), 0);
        assert_int_equal(model_set_string(&t->old_kernel, "k"), 0);
        assert_int_equal(model_set_string(&t->machine, "m"), 0);
        assert_int_equal(model_set_string(&t->action, "kexec"), 0);
        assert_int_equal(model_set_string(&t->hold_backend, "auto"), 0);
        assert_int_equal(model_set_bytes(&t->image_key, sample_key, sizeof sample_key), 0);
        t->has_image_key = true;
        return t;
}

/* It belongs to the ticket. */
static inline Tree *sample_tree(Ticket *ticket, const char *name, uint32_t root_pid) {
        Tree *tree = model_new(Tree, tree__init);

        assert_non_null(tree);
        tree->root_pid = root_pid;
        assert_int_equal(model_set_string(&tree->name, name), 0);
        assert_int_equal(model_set_string(&tree->target, "session:4"), 0);
        assert_int_equal(model_set_string(&tree->comm, "sshd"), 0);
        assert_int_equal(model_append(ticket->trees, ticket->n_trees, tree), 0);
        return tree;
}
