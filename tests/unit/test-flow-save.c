/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The save as a whole program, on a machine of fakes: what is true when it has come to its end. */

#include "flow/flow.h"
#include "model/model.h"
#include "tests/fakes/machine.h"

#define FIRST  4000001
#define SECOND 4000002

static int run_save(void *userdata) {
        (void)userdata;
        return flow_save();
}

static int set_up(void **state) {
        (void)fresh_machine(state);
        (void)fake_add_tree(FIRST);
        (void)fake_add_tree(SECOND);
        fake_keep();
        strcpy(fake->shutdown, "kexec");
        return 0;
}

static void test_all_is_well(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;
        Store store;

        (void)state;
        assert_int_equal(fake_run(run_save, NULL), 0);
        store = machine_store();
        assert_int_equal(store_ticket(&store, &t), 0);
        assert_int_equal(t->n_trees, 2);
        assert_int_equal(fake_tree(FIRST)->life, FAKE_DEAD);
        assert_int_equal(fake_tree(SECOND)->life, FAKE_DEAD);
        assert_true(fake->loaded && fake->hold && fake->guard_left);
        assert_int_equal(fake->n_held, 2);
        store_close(&store);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup(test_all_is_well, set_up),
        };

        int r = own_machine();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}
