/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a tree needs of the next boot: refused before where no boot brings it, else named in the ticket. */

#include "tests/unit/world.h"

#include "base/err.h"
#include "preflight/preflight.h"
#include "select/select.h"

#define S4 "/user.slice/user-0.slice/session-4.scope"

typedef struct World {
        Snapshot *s;
        Tree tree;
        PreflightFacts facts;
        Verdict v;
} World;

static int setup(void **state) {
        World *w = calloc(1, sizeof *w);

        w->s = world_new();
        world_process(w->s, 400, 1, "sshd", S4);
        world_process(w->s, 402, 400, "bash", S4);
        world_process(w->s, 800, 1, "tmux", S4);
        tree__init(&w->tree);
        w->tree.root_pid = 400;
        w->tree.root_start = 4000;
        w->facts = (PreflightFacts){.store_free = UINT64_C(1) << 30, .criu_lock_skip = true};
        *state = w;
        return 0;
}

static int teardown(void **state) {
        World *w = *state;

        snapshot_free(w->s);
        verdict_done(&w->v);
        free(w);
        return 0;
}

static void look(World *w) {
        verdict_done(&w->v);
        assert_int_equal(preflight_tree(w->s, &w->tree, &w->facts, &w->v), 0);
}

/* What it is refused for; NULL: nothing. */
static void expect(World *w, const char *what, const char *text) {
        look(w);
        assert_int_equal(w->v.n_notes, what ? 1 : 0);
        if (!what)
                return;
        assert_string_equal(w->v.notes[0].what, what);
        assert_int_equal(w->v.level, VERDICT_REFUSED);
        if (!strstr(w->v.notes[0].text, text))
                fail_msg("'%s' does not say '%s'", w->v.notes[0].text, text);
        assert_non_null(w->v.notes[0].remedy);
}

static void test_mounts(void **state) {
        World *w = *state;

        world_mount(w->s, 402, 30, "ext4", "/", MOUNT_BY_HAND);
        world_mount(w->s, 402, 31, "proc", "/proc", MOUNT_BY_HAND);
        world_mount(w->s, 402, 32, "tmpfs", "/run/user/1000", MOUNT_BY_HAND);
        world_mount(w->s, 402, 33, "nfs4", "/home", MOUNT_BROUGHT);
        world_mount(w->s, 402, 34, "ext4", "/srv", MOUNT_UNKNOWN); /* there is no systemd to ask */
        expect(w, NULL, NULL);
        world_mount(w->s, 402, 35, "ext4", "/mnt/x", MOUNT_BY_HAND);
        expect(w, "mount", "bash (402) uses /mnt/x, where /dev/loop0 (ext4) was mounted by hand");
        assert_string_equal(w->v.notes[0].remedy, "put it into /etc/fstab, or close what lies there");
        w->s->mounts[5].origin = MOUNT_UNUSED;
        expect(w, "mount", "no boot mounts");
        world_at(w->s, 402)->n_mounts--;
        expect(w, NULL, NULL); /* another tree's */
        w->s->mounts[4].origin = MOUNT_BY_HAND;
        w->facts.frozen = true;
        expect(w, "mount", "/srv");
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
        expect(w, NULL, NULL); /* AppArmor does not run */
        w->facts.profiles = (char *)PROFILES;
        for (size_t i = 0; i < ELEMENTS(loaded); i++) {
                runs_under(w, loaded[i]);
                expect(w, NULL, NULL);
        }
        for (size_t i = 0; i < ELEMENTS(gone); i++) {
                runs_under(w, gone[i]);
                expect(w, "profile", "bash (402) runs under ");
        }
        runs_under(w, gone[1]);
        expect(w, "profile", " manx, which");
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
