/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a tree needs of the next boot: refused before where no boot brings it, else named in the ticket. */

#include "tests/unit/preflight.h"

#include "base/err.h"
#include "select/select.h"

static void test_mounts(void **state) {
        World *w = *state;

        world_mount(w->s, 402, 30, "ext4", "/", MOUNT_BY_HAND);
        world_mount(w->s, 402, 31, "proc", "/proc", MOUNT_BY_HAND);
        world_mount(w->s, 402, 32, "tmpfs", "/run/user/1000", MOUNT_BY_HAND);
        world_mount(w->s, 402, 33, "nfs4", "/home", MOUNT_BROUGHT);
        world_mount(w->s, 402, 34, "ext4", "/srv", MOUNT_UNKNOWN); /* there is no systemd to ask */
        expect_ok(w);
        world_mount(w->s, 402, 35, "ext4", "/mnt/x", MOUNT_BY_HAND);
        expect(w, VERDICT_REFUSED, "mount",
               "bash (402) uses /mnt/x, where /dev/loop0 (ext4) was mounted by hand");
        assert_string_equal(w->v.notes[0].remedy, "add the mount to /etc/fstab, or close the files on it");
        w->s->mounts[5].origin = MOUNT_UNUSED;
        expect(w, VERDICT_REFUSED, "mount", "the boot does not mount");
        world_at(w->s, 402)->n_mounts--;
        expect_ok(w); /* another tree's */
        w->s->mounts[4].origin = MOUNT_BY_HAND;
        w->facts.frozen = true;
        expect(w, VERDICT_REFUSED, "mount", "/srv");
        free(w->s->mounts[2].point);
        w->s->mounts[2].point = strdup("/run/user/1000/x");
        look(w);
        assert_int_equal(w->v.n_notes, 2);
}

#define PROFILES "man (enforce)\nman//filter (complain)\n:ns://x (enforce)\n/usr/bin/a b (enforce)\n"

static void runs_under(World *w, const char *label) {
        SnapProcess *p = world_at(w->s, 402);

        free(p->label);
        p->label = strdup(label);
}

static void test_profiles(void **state) {
        static const char *const loaded[] = {"unconfined\n",
                                             "man (enforce)\n",
                                             "man//filter (complain)",
                                             "man//&man//filter (mixed)\n",
                                             "unconfined//&:ns:x (enforce)\n",
                                             ":ns:unconfined//&man (enforce)",
                                             "/usr/bin/a b (enforce)\n"};
        static const char *const gone[] = {"ma (enforce)",           "man//&manx (enforce)",
                                           "man//null-x (complain)", "/usr/bin/a (enforce)",
                                           ":other:x (enforce)",     "x (enforce)"};
        World *w = *state;

        runs_under(w, gone[0]);
        expect_ok(w); /* AppArmor does not run */
        w->facts.profiles = (char *)PROFILES;
        for (size_t i = 0; i < ELEMENTS(loaded); i++) {
                runs_under(w, loaded[i]);
                expect_ok(w);
        }
        for (size_t i = 0; i < ELEMENTS(gone); i++) {
                runs_under(w, gone[i]);
                expect(w, VERDICT_REFUSED, "profile", "bash (402) runs under ");
        }
        runs_under(w, gone[1]);
        expect(w, VERDICT_REFUSED, "profile", " manx, which");
}

/* Once for the whole tree. */
static void test_describe(void **state) {
        _cleanup_(tree_freep) Tree *t = model_new(Tree, tree__init);
        World *w = *state;

        t->root_pid = 400;
        (void)world_mount(w->s, 400, 30, "ext4", "/", MOUNT_BROUGHT);
        (void)world_mount(w->s, 400, 31, "devpts", "/dev/pts", MOUNT_BROUGHT);
        (void)world_mount(w->s, 400, 32, "nfs4", "/home", MOUNT_BROUGHT);
        (void)world_mount(w->s, 402, 32, "nfs4", "/home", MOUNT_BROUGHT);
        (void)world_mount(w->s, 800, 33, "ext4", "/srv", MOUNT_BROUGHT); /* another tree's */
        for (int twice = 0; twice < 2; twice++) {
                assert_int_equal(select_describe(w->s, t), 0);
                assert_int_equal(t->n_mounts, 1);
                assert_string_equal(t->mounts[0]->point, "/home");
                assert_string_equal(t->mounts[0]->type, "nfs4");
                assert_string_equal(t->mounts[0]->root, "/");
                assert_string_equal(t->mounts[0]->source, "/dev/loop0");
        }
}

int main(void) {
#define T(x) cmocka_unit_test_setup_teardown(x, setup, teardown)
        const struct CMUnitTest tests[] = {
                        T(test_mounts),
                        T(test_profiles),
                        T(test_describe),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
