/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Two tickets become one: nobody is missing, nobody is there twice, and each name is one tree's. */

#include "model/waiting.h"

#include "base/cleanup.h"
#include "model/connections.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static Tree *add(Ticket *ticket, const char *name, uint32_t pid) {
        Connection *c = model_new(Connection, connection__init);
        Tree *tree = model_new(Tree, tree__init);
        const uint8_t address[] = {10, 0, 0, 1};

        assert_true(c && tree);
        tree->root_pid = pid;
        assert_int_equal(model_set_string(&tree->name, name) | model_set_string(&tree->target, "t") |
                                         model_set_string(&tree->comm, "sshd") |
                                         model_set_bytes(&c->local, address, sizeof address) |
                                         model_set_bytes(&c->remote, address, sizeof address),
                         0);
        c->local_port = c->remote_port = pid;
        assert_int_equal(model_append(tree->ids, tree->n_ids, pid), 0);
        assert_int_equal(model_append(tree->connections, tree->n_connections, c), 0);
        assert_int_equal(model_append(ticket->trees, ticket->n_trees, tree), 0);
        return tree;
}

static Ticket *sample(const char *id, const char *driver, uint8_t tracking) {
        Ticket *t = model_new(Ticket, ticket__init);
        ProtobufCBinaryData bytes = {0};
        char *name = strdup(driver);

        assert_true(t && name);
        assert_int_equal(model_set_string(&t->id, id) | model_set_string(&t->version, "1") |
                                         model_set_string(&t->old_boot, "b") |
                                         model_set_string(&t->old_kernel, "k") |
                                         model_set_string(&t->machine, "m") |
                                         model_set_string(&t->action, "kexec") |
                                         model_set_string(&t->hold_backend, "auto") |
                                         model_set_bytes(&bytes, &tracking, 1),
                         0);
        assert_int_equal(model_append(t->drivers, t->n_drivers, name), 0);
        assert_int_equal(model_append(t->conntrack, t->n_conntrack, bytes), 0);
        return t;
}

static void test_join(void **state) {
        _cleanup_(ticket_freep) Ticket *new = sample("new", "e1000", 1), *old = sample("old", "e1000", 2);
        _cleanup_(hold_set_done) HoldSet all = {0};
        _cleanup_(early_freep) Early *early = NULL;
        char *driver = strdup("virtio_net");

        assert_non_null(driver);
        add(new, "session-7", 30000);
        add(old, "session-4", 40000)->frozen_at = 12;
        old->trees[0]->has_frozen_at = true;
        old->trees[0]->outcome = model_new(Outcome, outcome__init);
        add(old, "session-3", 50000)->outcome = model_new(Outcome, outcome__init);
        old->trees[1]->outcome->state = OUTCOME__STATE__CARRIED;
        assert_int_equal(model_append(old->drivers, old->n_drivers, driver), 0);
        old->has_encrypted = old->encrypted = true;

        assert_int_equal(waiting_join(new, old), 0);
        assert_int_equal(waiting_join_tracking(new, old), 0);
        assert_int_equal(new->n_trees, 2); /* who is back is not brought back again */
        assert_string_equal(new->trees[1]->name, "session-4");
        assert_int_equal(new->trees[1]->frozen_at, 12); /* its gap goes on */
        assert_null(new->trees[1]->outcome);
        assert_true(new->trees[1] != old->trees[0]);
        assert_string_equal(new->id, "new");
        assert_true(new->encrypted);
        assert_int_equal(new->n_drivers, 2);
        assert_int_equal(new->n_conntrack, 2);
        assert_int_equal(new->conntrack[0].data[0], 1);
        assert_int_equal(early_of(new, &early), 0);
        assert_int_equal(early->max_pid, 40000);
        assert_int_equal(hold_set_of(new, &all), 0);
        assert_int_equal(all.n_connections, 2);

        waiting_part(new, 1);
        assert_int_equal(new->n_trees, 1);
        assert_string_equal(new->trees[0]->name, "session-7");
        assert_int_equal(old->n_trees, 2);
}

static void test_names(void **state) {
        _cleanup_(ticket_freep) Ticket *new = sample("new", "a", 1), *old = sample("old", "a", 2);

        add(new, "session-4", 1);
        add(new, "session-4.2", 2);
        add(new, "session-5", 3);
        add(old, "session-4", 4);
        add(old, "session-4.3", 5);
        assert_int_equal(waiting_name_apart(new, old), 0);
        assert_string_equal(new->trees[0]->name, "session-4.4");
        assert_string_equal(new->trees[1]->name, "session-4.2");
        assert_string_equal(new->trees[2]->name, "session-5");
        assert_string_equal(old->trees[0]->name, "session-4");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_join),
                        cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
