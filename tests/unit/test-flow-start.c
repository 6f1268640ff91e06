/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The service's start, its release and the last hook of a shutdown: what each warns of, whose hold it takes
 * off and whose it leaves. Needs root: sealed.h. */

#include "flow/flow.h"

#include "flow/hold-note.h"
#include "systemd/bus.h"
#include "tests/unit/sealed.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#define NOTIFY "/run/notify"

static char err[4096];
static int err_fd, notify_fd;

static int run(void *userdata) {
        ExitStatus (*const *program)(void) = userdata;

        (void)dup2(err_fd, STDERR_FILENO);
        return (*program)();
}

static int call(ExitStatus (*program)(void)) {
        int status;
        ssize_t n;

        assert_int_equal(ftruncate(err_fd, 0) | (int)lseek(err_fd, 0, SEEK_SET), 0);
        status = fake_run(run, &program);
        n = pread(err_fd, err, sizeof err - 1, 0);
        assert_true(n >= 0);
        err[n] = '\0';
        return status;
}

static void is_said(const char *what) {
        if (!strstr(err, what))
                fail_msg("'%s' is not in: %s", what, err);
}

static int set_up(void **state) {
        (void)state;
        fake_unit_state = "inactive";
        (void)fresh_machine(NULL);
        return 0;
}

/* PID 1 waits for that word, whatever else there is to be said. */
static void is_ready(void) {
        char text[64];
        ssize_t n = recv(notify_fd, text, sizeof text - 1, MSG_DONTWAIT);

        assert_true(n > 0);
        text[n] = '\0';
        assert_string_equal(text, "READY=1");
}

static void test_all_is_well(void **state) {
        (void)state;
        assert_int_equal(call(flow_start), 0);
        is_ready();
        assert_string_equal(err, "");
        assert_true(fake_count("kmod_load unix_diag") > 0);
        assert_int_equal(fake_count("criu_check"), 1);
        assert_int_equal(fake_count("hold_clear"), 0);
}

/* It is there after all: `carryover status` works, and a shutdown says why nothing is saved. */
static void test_it_starts_anyway(void **state) {
        (void)state;
        fake_fail("criu_check", 1, -EOPNOTSUPP);
        assert_int_equal(call(flow_start), 0);
        is_ready();
        is_said("nothing can be saved on this system: criu_check was told to fail");
        (void)set_up(NULL);
        configure("Store=elsewhere\n");
        assert_int_equal(call(flow_start), 0);
        is_ready();
        is_said("nothing can be saved on this system: ");
        is_said("Store=");
        (void)set_up(NULL);
        fake_fail("kmod_load", 1, -ENOENT);
        assert_int_equal(call(flow_start), 0);
        is_ready();
        is_said("1 kernel modules could not be loaded");
        assert_int_equal(fake_count("criu_check"), 1);
}

static void test_stale_hold(void **state) {
        (void)state;
        fake->hold = fake->guard_left = true;
        assert_int_equal(call(flow_start), 0);
        assert_false(fake->hold || fake->guard_left);
        is_said("found a hold without a ticket: removing the hold");
}

static void test_stale_hold_stays(void **state) {
        static const char *const calls[] = {"hold_guard_end", "hold_clear"};

        for (size_t i = 0; i < ELEMENTS(calls); i++) {
                (void)set_up(state);
                fake->hold = true;
                fake_fail(calls[i], 1, -EIO);
                assert_int_equal(call(flow_start), 0);
                assert_true(fake->hold);
                is_said("cannot remove the stale hold");
                assert_int_equal(fake_count("criu_check"), 1);
        }
}

/* It is held for trees that come back. */
static void test_ticket_explains_it(void **state) {
        (void)state;
        sealed_two();
        fake->hold = true;
        assert_int_equal(call(flow_start), 0);
        assert_true(fake->hold);
        assert_string_equal(err, "");
}

static void claim(void) {
        _cleanup_(store_close) Store store = {.fd = -1};
        _cleanup_(ticket_freep) Ticket *ticket = NULL;

        sealed_two();
        store = machine_store();
        assert_int_equal(store_ticket(&store, &ticket), 0);
        assert_int_equal(store_claim(&store, ticket), 0);
        fake->hold = true;
}

/* Whether it runs cannot always be asked: then the hold is its own. */
static void test_restore_explains_it(void **state) {
        static const char *const states[] = {"active", "activating"}, *const calls[] = {"bus_open_manager",
                                                                                        "bus_unit_property"};

        for (size_t i = 0; i < ELEMENTS(states) + ELEMENTS(calls); i++) {
                (void)set_up(state);
                claim();
                if (i < ELEMENTS(states))
                        fake_unit_state = states[i];
                else
                        fake_fail(calls[i - ELEMENTS(states)], 1, -EIO);
                assert_int_equal(call(flow_start), 0);
                assert_true(fake->hold);
        }
}

static void test_restore_has_died(void **state) {
        (void)state;
        claim();
        fake_unit_state = "failed";
        assert_int_equal(call(flow_start), 0);
        assert_false(fake->hold);
        assert_int_equal(fake_count("bus_unit_property " RESTORE_UNIT), 1);
}

/* Nobody knows whose it is. */
static void test_store_cannot_be_opened(void **state) {
        (void)state;
        fake->hold = true;
        fake_fail("store_open", 1, -EIO);
        assert_int_equal(call(flow_start), 0);
        assert_true(fake->hold);
}

static void test_release(void **state) {
        static const char *const calls[] = {"hold_guard_end", "hold_clear"};

        fake->hold = fake->guard_left = true;
        assert_int_equal(call(flow_release), 0);
        assert_false(fake->hold || fake->guard_left);
        for (size_t i = 0; i < ELEMENTS(calls); i++) {
                (void)set_up(state);
                fake->hold = true;
                fake_fail(calls[i], 1, -EIO);
                assert_int_equal(call(flow_release), 1);
                assert_true(fake->hold);
                is_said("cannot remove the hold: ");
                is_said(calls[i]);
        }
}

static void hold_is_noted(void) {
        uint8_t address[4] = {192, 0, 2, 1};
        Connection connection = CONNECTION__INIT, *items[] = {&connection};
        Ticket ticket = TICKET__INIT;

        connection.local = connection.remote = (ProtobufCBinaryData){sizeof address, address};
        ticket.id = (char *)SEALED_ID;
        assert_int_equal(hold_note_write(&ticket, HOLD_NFTABLES,
                                         &(HoldSet){.connections = items, .n_connections = 1}),
                         0);
}

static void test_last(void **state) {
        (void)state;
        assert_int_equal(call(flow_last), 0); /* nothing was saved */
        assert_string_equal(err, "");
        hold_is_noted();
        fake->hold = true;
        assert_int_equal(call(flow_last), 0);
        assert_int_equal(fake_count("hold_set"), 0);
        fake->hold = false;
        assert_int_equal(call(flow_last), 0);
        assert_true(fake->hold);
        is_said("the hold was removed before the jump and is restored");
}

/* The shutdown goes on, and whoever reads its console knows. */
static void test_last_fails(void **state) {
        (void)state;
        hold_is_noted();
        fake_fail("hold_set", 1, -EIO);
        assert_int_equal(call(flow_last), 1);
        is_said("the hold was removed before the jump and cannot be restored: hold_set was told to fail");
        fake_fail("run_hold_read", 1, -EIO);
        assert_int_equal(call(flow_last), 1);
        is_said("cannot determine whether one is needed: run_hold_read was told to fail");
        assert_false(fake->hold);
}

static int notify_open(void) {
        struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = NOTIFY};

        notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        return notify_fd < 0 || bind(notify_fd, (struct sockaddr *)&at, sizeof at) < 0
                               ? 1
                               : setenv("NOTIFY_SOCKET", NOTIFY, 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup(test_all_is_well, set_up),
                        cmocka_unit_test_setup(test_it_starts_anyway, set_up),
                        cmocka_unit_test_setup(test_stale_hold, set_up),
                        cmocka_unit_test_setup(test_stale_hold_stays, set_up),
                        cmocka_unit_test_setup(test_ticket_explains_it, set_up),
                        cmocka_unit_test_setup(test_restore_explains_it, set_up),
                        cmocka_unit_test_setup(test_restore_has_died, set_up),
                        cmocka_unit_test_setup(test_store_cannot_be_opened, set_up),
                        cmocka_unit_test_setup(test_release, set_up),
                        cmocka_unit_test_setup(test_last, set_up),
                        cmocka_unit_test_setup(test_last_fails, set_up),
        };

        int r = own_machine();

        err_fd = memfd_create("err", MFD_CLOEXEC);
        if (r == 0)
                r = notify_open();
        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}
