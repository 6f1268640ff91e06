/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Scopes that are asked for all at once. PID 1 is a thread behind the real sd-bus: it answers nobody until
 * everybody has asked, then in another order than it was asked.
 */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "systemd/bus.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <cmocka.h>

#define SCOPES  4u
#define MANAGER "org.freedesktop.systemd1.Manager"

static int ends[2];

typedef struct Manager {
        sd_bus *bus;
        sd_bus_message *asked[SCOPES];
        size_t n;
        bool silent; /* about all jobs */
        bool gone;
} Manager;

int sd_bus_set_address(sd_bus *bus, const char *address) {
        assert_string_equal(address, "unix:path=/run/systemd/private");
        return sd_bus_set_fd(bus, ends[0], ends[0]);
}

static void removed(Manager *manager, unsigned job, const char *result) {
        char path[64];

        snprintf(path, sizeof path, "/job/%u", job);
        assert_true(sd_bus_emit_signal(manager->bus, "/org/freedesktop/systemd1", MANAGER, "JobRemoved",
                                       "uoss", job, path, "some.scope", result) >= 0);
}

/* The first is refused, the second fails, the third is never heard of, the last one runs. */
static void answer_all(Manager *manager) {
        char path[64];

        for (unsigned i = SCOPES; i-- > 1;) {
                snprintf(path, sizeof path, "/job/%u", i);
                assert_true(sd_bus_reply_method_return(manager->asked[i], "o", path) >= 0);
        }
        assert_true(sd_bus_reply_method_errorf(manager->asked[0], "org.freedesktop.systemd1.UnitExists",
                                               "Unit a.scope already exists.") >= 0);
        removed(manager, 77, "done");
        if (!manager->silent) {
                removed(manager, 3, "done");
                removed(manager, 1, "failed");
        }
}

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Manager *manager = userdata;

        (void)error;
        if (sd_bus_message_is_method_call(m, MANAGER, "Subscribe") > 0)
                return sd_bus_reply_method_return(m, "");
        if (sd_bus_message_is_method_call(m, MANAGER, "StartTransientUnit") <= 0)
                return 0;
        manager->asked[manager->n++] = sd_bus_message_ref(m);
        if (manager->n == SCOPES)
                answer_all(manager);
        return 1;
}

static void *manager_run(void *userdata) {
        Manager *manager = userdata;
        sd_id128_t id;
        int r;

        assert_true(sd_id128_randomize(&id) >= 0);
        assert_true(sd_bus_new(&manager->bus) >= 0);
        assert_true(sd_bus_set_fd(manager->bus, ends[1], ends[1]) >= 0);
        assert_true(sd_bus_set_server(manager->bus, 1, id) >= 0);
        assert_true(sd_bus_set_anonymous(manager->bus, 1) >= 0);
        assert_true(sd_bus_add_filter(manager->bus, NULL, on_call, manager) >= 0);
        assert_true(sd_bus_start(manager->bus) >= 0);
        do {
                r = sd_bus_process(manager->bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(manager->bus, UINT64_MAX);
        } while (r >= 0 && !(manager->gone && manager->n == SCOPES));
        for (size_t i = 0; i < manager->n; i++)
                sd_bus_message_unref(manager->asked[i]);
        sd_bus_flush_close_unref(manager->bus);
        return NULL;
}

typedef struct Ends {
        size_t n;
        size_t order[SCOPES];
        int result[SCOPES];
        char why[SCOPES][160];
} Ends;

static void on_end(size_t i, int r, void *userdata) {
        Ends *ended = userdata;

        ended->order[ended->n++] = i;
        ended->result[i] = r;
        snprintf(ended->why[i], sizeof ended->why[i], "%s", r < 0 ? err_text(r) : "");
}

static void ask(Manager *manager, uint64_t patience, Ends *ended) {
        BusScope scopes[SCOPES];
        static const char *const names[SCOPES] = {"a.scope", "b.scope", "c.scope", "d.scope"};
        _cleanup_(bus_closep) Bus *bus = NULL;
        pthread_t thread;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        assert_int_equal(pthread_create(&thread, NULL, manager_run, manager), 0);
        assert_int_equal(bus_open_manager(&bus), 0);
        for (size_t i = 0; i < SCOPES; i++)
                scopes[i] = (BusScope){.name = names[i],
                                       .slice = "user.slice",
                                       .description = "A scope",
                                       .pid = getpid()};
        bus_start_scopes(bus, scopes, SCOPES, now_monotonic() + patience, on_end, ended);
        bus = bus_close(bus);
        assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_all_at_once(void **state) {
        Manager manager = {0};
        Ends ended = {0};

        (void)state;
        ask(&manager, USEC_PER_SEC / 2, &ended);
        assert_int_equal(ended.n, SCOPES);
        assert_int_equal(ended.order[0], 0);
        assert_int_equal(ended.order[1], 3);
        assert_int_equal(ended.order[2], 1);
        assert_int_equal(ended.order[3], 2);
        assert_string_equal(ended.why[0], "systemd: cannot start a.scope: Unit a.scope already exists.");
        assert_string_equal(ended.why[1], "systemd: starting b.scope failed with result 'failed'");
        assert_int_equal(ended.result[2], -ETIMEDOUT);
        assert_non_null(strstr(ended.why[2], "systemd did not start c.scope"));
        assert_int_equal(ended.result[3], 0);
}

/* Nobody waits for ever, and nobody is forgotten. */
static void test_silence(void **state) {
        Manager manager = {.silent = true};
        Ends ended = {0};

        (void)state;
        ask(&manager, USEC_PER_SEC / 5, &ended);
        assert_int_equal(ended.n, SCOPES);
        for (size_t i = 1; i < SCOPES; i++)
                assert_int_equal(ended.result[i], -ETIMEDOUT);
}

/* The connection ends before the jobs do. */
static void test_gone(void **state) {
        Manager manager = {.silent = true, .gone = true};
        Ends ended = {0};

        (void)state;
        ask(&manager, 60 * USEC_PER_SEC, &ended);
        assert_int_equal(ended.n, SCOPES);
        for (size_t i = 1; i < SCOPES; i++) {
                assert_true(ended.result[i] < 0 && ended.result[i] != -ETIMEDOUT);
                assert_non_null(strstr(ended.why[i], "systemd did not start "));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_at_once),
                                           cmocka_unit_test(test_silence), cmocka_unit_test(test_gone)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
