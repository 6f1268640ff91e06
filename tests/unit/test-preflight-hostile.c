/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What would give somebody more than he has in the next boot. */

#include "tests/unit/preflight.h"

/* What its user could do to get more than he has, or to keep others from being carried. */
static void test_hostile_files(void **state) {
        World *w = *state;
        SnapFd *f;

        world_at(w->s, 402)->uid = world_at(w->s, 402)->euid = 1000;
        world_fd(w->s, 402, FD_FILE, 10, "/proc/402/mem");
        world_fd(w->s, 402, FD_DIR, 11, "/proc/400/fd");
        world_fd(w->s, 402, FD_FILE, 12, "/proc/sys/kernel/pid_max");
        expect_ok(w);
        f = world_fd(w->s, 400, FD_FILE, 13, "/proc/400/mem");
        expect_ok(w);
        f = world_fd(w->s, 402, FD_FILE, 13, "/proc/400/mem"); /* the same file, with the other */
        expect(w, VERDICT_REFUSED, "proc-file",
               "bash (402) has /proc/400/mem open, which belongs to another process");
        f->target[0] = '-';
        f = world_fd(w->s, 400, FD_FILE, 14, "/run/roots");
        f->is_volatile = true;
        expect_ok(w);
        f = world_fd(w->s, 402, FD_FILE, 14, "/run/roots");
        f->is_volatile = true;
        expect(w, VERDICT_REFUSED, "others-file",
               "bash (402) has /run/roots open, which belongs to another user");
        f->uid = 1000;
        expect_ok(w);
        world_at(w->s, 402)->euid = 0; /* it runs sudo */
        f->uid = 7;
        expect_ok(w);
}

static void test_hostile_map(void **state) {
        World *w = *state;
        SnapProcess *p = world_at(w->s, 402);
        SnapMap m = {.path = strdup("/dev/shm/other"), .is_volatile = true, .uid = 1001};

        p->uid = p->euid = 1000;
        assert_int_equal(model_append(p->maps, p->n_maps, m), 0);
        expect(w, VERDICT_REFUSED, "others-file", "/dev/shm/other");
        p->maps[0].uid = 1000;
        expect_ok(w);
}

static void test_relative_name(void **state) {
        World *w = *state;

        world_fd(w->s, 402, FD_UNIX, 20, NULL);
        world_unix(w->s, 20, 0, SOCK_STREAM, "system_bus_socket")->state = TCP_LISTEN;
        expect(w, VERDICT_REFUSED, "relative-name", "has a socket bound as system_bus_socket");
}

static void test_dots_in_name(void **state) {
        World *w = *state;
        SnapUnix *u;

        world_fd(w->s, 402, FD_UNIX, 20, NULL);
        u = world_unix(w->s, 20, 0, SOCK_STREAM, "/proc/../tmp/d/s");
        u->state = TCP_LISTEN;
        expect(w, VERDICT_REFUSED, "dots-in-name", "bound as /proc/../tmp/d/s");
        strcpy(u->path, "/tmp/./s");
        expect(w, VERDICT_REFUSED, "dots-in-name", "bound as /tmp/./s");
        strcpy(u->path, "/tmp/.s..");
        expect_ok(w);
}

static void test_packet_interface(void **state) {
        World *w = *state;
        SnapFd *f = world_fd(w->s, 402, FD_PACKET, 20, NULL);

        expect(w, VERDICT_REFUSED, "packet-interface", "has a packet socket bound to an interface");
        f->any_interface = true;
        expect_ok(w);
}

static SnapFd *memfd(World *w, pid_t pid, uint64_t size) {
        SnapProcess *p = world_at(w->s, pid);
        SnapFd *f = world_fd(w->s, pid, FD_MEMFD, (uint64_t)pid, "/memfd:x");

        f->size = p->huge = size;
        f->huge_page = p->huge_page = 2 << 20;
        return f;
}

/* A size in huge pages, without a page, costs nothing: it refuses who has made it up, and nobody else. */
static void test_hostile_huge(void **state) {
        World *w = *state;
        Tree his = TREE__INIT;
        Candidate c[2] = {{.tree = &w->tree}, {.tree = &his}};
        PreflightNeeds needs;

        his.uid = 1000;
        his.root_pid = 800;
        his.root_start = world_at(w->s, 800)->start;
        w->s->huge_most = 256 << 20;
        (void)memfd(w, 402, 32 << 20);
        memfd(w, 800, UINT64_C(1) << 50)->used = 0;
        for (size_t i = 0; i < 2; i++) {
                assert_int_equal(preflight_tree(w->s, c[i].tree, &w->facts, &c[i].verdict), 0);
                assert_int_equal(preflight_needs(w->s, c[i].tree, &needs), 0);
                c[i].needs.huge = needs.huge;
        }
        assert_int_equal(c[0].needs.huge, 32 << 20);
        assert_int_equal(c[1].needs.huge, UINT64_C(1) << 50);
        assert_int_equal(preflight_huge(w->s, c, 2), 0);
        assert_int_equal(c[0].verdict.level, VERDICT_DEGRADED);
        assert_int_equal(c[1].verdict.level, VERDICT_REFUSED);
        assert_int_equal(c[1].verdict.n_notes, 1);
        for (size_t i = 0; i < 2; i++)
                verdict_done(&c[i].verdict);
}

static void expect_huge(World *w, Candidate *c, size_t n, const char *refused) {
        assert_int_equal(preflight_huge(w->s, c, n), 0);
        for (size_t i = 0; i < n; i++) {
                assert_int_equal(c[i].verdict.n_notes, refused[i] != '.');
                assert_int_equal(c[i].verdict.level, refused[i] == '.' ? VERDICT_OK : VERDICT_REFUSED);
                if (refused[i] != '.') {
                        assert_string_equal(c[i].verdict.notes[0].what, "huge-pages-all");
                        assert_non_null(strstr(c[i].verdict.notes[0].text, "(256 MiB)"));
                }
                verdict_done(&c[i].verdict);
        }
}

/* Of many trees that would fit alone, those of the user go who asks for most, the largest first. */
static void test_greedy_huge(void **state) {
        World *w = *state;
        Tree joe = TREE__INIT, mary = TREE__INIT;
        Candidate c[] = {{.tree = &mary, .needs.huge = 100 << 20},
                         {.tree = &joe, .needs.huge = 60 << 20},
                         {.tree = &joe, .needs.huge = 90 << 20},
                         {.tree = &joe, .needs.huge = 6 << 20}};

        joe.uid = 1000;
        mary.uid = 1001;
        w->s->huge_most = 256 << 20;
        expect_huge(w, c, ELEMENTS(c), "....");
        c[3].needs.huge++;
        expect_huge(w, c, ELEMENTS(c), "..x.");
        c[1].needs.huge = c[2].needs.huge = c[3].needs.huge = 256 << 20;
        expect_huge(w, c, ELEMENTS(c), ".xxx");
        c[1].needs.huge = c[2].needs.huge = UINT64_MAX;
        expect_huge(w, c, ELEMENTS(c), ".xxx");
        w->s->huge_by_boot = true;
        expect_huge(w, c, ELEMENTS(c), "....");
}

int main(void) {
#define T(x) cmocka_unit_test_setup_teardown(x, setup, teardown)
        const struct CMUnitTest tests[] = {
                        T(test_hostile_files), T(test_hostile_map),      T(test_relative_name),
                        T(test_dots_in_name),  T(test_packet_interface), T(test_hostile_huge),
                        T(test_greedy_huge),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
