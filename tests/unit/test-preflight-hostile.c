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

int main(void) {
#define T(x) cmocka_unit_test_setup_teardown(x, setup, teardown)
        const struct CMUnitTest tests[] = {
                        T(test_hostile_files), T(test_hostile_map),      T(test_relative_name),
                        T(test_dots_in_name),  T(test_packet_interface),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
