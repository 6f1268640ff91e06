/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "select/lost.h"

#include "world.h"

static void test_lost(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = calloc(1, sizeof *s);
        const SnapProcess *list[2];
        Tree tree = TREE__INIT;

        assert_non_null(s);
        world_process(s, 402, 1, "bash", NULL);
        world_process(s, 403, 402, "python3", NULL);
        world_fd(s, 402, FD_FILE, 71, "/home/joe/replaced")->path_replaced = true;
        world_fd(s, 402, FD_FILE, 72, "/home/joe/gone")->unlinked = true;
        world_fd(s, 402, FD_FILE, 73, "/home/joe/there");
        world_fd(s, 403, FD_FILE, 72, "/home/joe/gone")->unlinked = true;   /* the same */
        world_fd(s, 403, FD_FILE, 74, "/home/joe/nowhere")->deleted = true; /* gets no link */
        list[0] = world_at(s, 402);
        list[1] = world_at(s, 403);
        for (int again = 0; again < 2; again++) {
                assert_int_equal(lost_note(list, 2, &tree), 0);
                assert_non_null(tree.traces);
                assert_int_equal(tree.traces->n_lost, 2);
                assert_int_equal(tree.traces->lost[0]->inode, 71);
                assert_string_equal(tree.traces->lost[1]->path, "/home/joe/gone");
        }
        model_free(tree.traces);
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_lost)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
