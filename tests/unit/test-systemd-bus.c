/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * One connection to PID 1, shared by threads. The functions of sd-bus that are asked here are fakes: each
 * looks whether another thread is in one of them.
 */

#include "base/cleanup.h"
#include "systemd/bus.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include <cmocka.h>

#define THREADS 4u
#define EACH    20u

static volatile unsigned inside, together; /* guarded by the connection's own lock */
static pthread_barrier_t begin;

static int use(void) {
        together += inside++;
        sched_yield();
        inside--;
        return 0;
}

int sd_bus_new(sd_bus **ret) {
        *ret = NULL;
        return 0;
}

int sd_bus_set_address(sd_bus *bus, const char *address) {
        return 0;
}

int sd_bus_start(sd_bus *bus) {
        return 0;
}

sd_bus *sd_bus_flush_close_unref(sd_bus *bus) {
        return NULL;
}

int sd_bus_call_method(sd_bus *bus, const char *destination, const char *path, const char *interface,
                       const char *member, sd_bus_error *ret_error, sd_bus_message **reply,
                       const char *types, ...) {
        return use();
}

int sd_bus_get_property_string(sd_bus *bus, const char *destination, const char *path, const char *interface,
                               const char *member, sd_bus_error *ret_error, char **ret) {
        *ret = strdup("active");
        return use();
}

int sd_bus_get_property_strv(sd_bus *bus, const char *destination, const char *path, const char *interface,
                             const char *member, sd_bus_error *ret_error, char ***ret) {
        *ret = calloc(1, sizeof **ret);
        return use();
}

static void *ask(void *userdata) {
        Bus *bus = userdata;
        int r = 0;

        (void)pthread_barrier_wait(&begin);
        for (unsigned i = 0; i < EACH; i++) {
                _cleanup_(freep) char *state = NULL;

                r |= bus_start_unit_now(bus, "x.slice") | bus_reset_unit(bus, "x.service");
                r |= bus_unit_property(bus, "x.service", "Unit", "ActiveState", &state);
                r |= bus_unit_has_any(bus, "x.service", "WantedBy") | bus_cancel_shutdown(bus);
        }
        return r == 0 ? bus : NULL;
}

static void test_threads(void **state) {
        _cleanup_(bus_closep) Bus *bus = NULL;
        pthread_t threads[THREADS];

        assert_int_equal(bus_open_manager(&bus), 0);
        assert_int_equal(pthread_barrier_init(&begin, NULL, THREADS), 0);
        for (size_t i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(threads + i, NULL, ask, bus), 0);
        for (size_t i = 0; i < THREADS; i++) {
                void *answer;

                assert_int_equal(pthread_join(threads[i], &answer), 0);
                assert_ptr_equal(answer, bus);
        }
        assert_int_equal(together, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
