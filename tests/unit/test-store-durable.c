/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Each change of a directory of the store is on disk before the store says that it is done, and a disk that
 * does not take it is an error. Needs root, as test-store.c. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "store/room.h"
#include "store/store.h"
#include "tests/unit/own-run.h"
#include "tests/unit/ticket.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TREE "session-4"

static Store store;
static Ticket *ticket;
static const char *watched; /* a directory, below the store; "": itself */
static bool broken;         /* it cannot be synced */
static unsigned synced;     /* how often it was */

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int __wrap_fsync(int fd) {
        char link[32], path[512], wanted[512];
        ssize_t n;

        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        n = readlink(link, path, sizeof path - 1);
        path[n < 0 ? 0 : n] = '\0';
        snprintf(wanted, sizeof wanted, "%s%s%s", store.path, watched && watched[0] ? "/" : "",
                 watched ?: "");
        if (watched && strcmp(path, wanted) == 0) {
                synced++;
                if (broken) {
                        errno = EIO;
                        return -1;
                }
        }
        return __real_fsync(fd);
}

static int nothing(void) {
        return 0;
}

static int create(void) {
        _cleanup_(closep) int fd = store_tree_create(&store, TREE);
        int r = fd < 0 ? fd : file_replace(fd, "files.img", "x", 1);

        return r < 0 ? r : file_replace(fd, "tty-info.img", "x", 1);
}

static int put_aside(void) {
        _cleanup_(freep) char *path = NULL;

        return store_tree_fail(&store, ticket->id, TREE, &path);
}

static int create_and_put_aside(void) {
        int r = create();

        return r < 0 ? r : put_aside();
}

static int retry(void) {
        return store_tree_retry(&store, ticket->id, TREE);
}

static int begin(void) {
        _cleanup_(closep) int fd = store_tree_open(&store, TREE);

        return fd < 0 ? fd : store_tree_begin(fd);
}

static int reserve(void) {
        return store_reserve(&store, ticket, true);
}

static int seal(void) {
        return store_seal(&store, ticket, NULL);
}

static int unseal(void) {
        return store_unseal(&store, NULL);
}

static int claim(void) {
        return store_claim(&store, ticket);
}

static int seal_and_claim(void) {
        int r = seal();

        return r < 0 ? r : claim();
}

static int report(void) {
        return store_report_write(&store, ticket);
}

static int note(void) {
        return store_saving_begin(&store, ticket);
}

static int note_end(void) {
        return store_saving_end(&store);
}

/* One change, on a store of its own. */
static int run(unsigned n, int (*before)(void), int (*change)(void), const char *dir, bool fails) {
        Config config = {0};
        int r;

        snprintf(config.store, sizeof config.store, "/run/test-durable-%u", n);
        assert_int_equal(store_open(&config, &store), 0);
        ticket = sample_ticket("id");
        (void)sample_tree(ticket, TREE, 1234);
        watched = NULL;
        assert_int_equal(before(), 0);
        watched = dir;
        broken = fails;
        synced = 0;
        r = change();
        watched = NULL;
        model_free(ticket);
        store_close(&store);
        return r;
}

static void test_durable(void **state) {
        const struct {
                const char *what;
                int (*before)(void);
                int (*change)(void);
                const char *dirs[5];
        } cases[] = {
                        {"create", nothing, create, {"save"}},
                        {"put aside", create, put_aside, {"", "save", "failed", "failed/id"}},
                        {"retry", create_and_put_aside, retry, {"", "save", "save/" TREE}},
                        {"begin", create, begin, {"save/" TREE}},
                        {"reserve", nothing, reserve, {"failed"}},
                        {"note", nothing, note, {""}},
                        {"note's end", note, note_end, {""}},
                        {"seal", create, seal, {"", "save/" TREE}},
                        {"unseal", seal, unseal, {""}},
                        {"claim", seal, claim, {""}},
                        {"report", seal_and_claim, report, {""}},
        };
        unsigned n = 0;

        (void)state;
        for (size_t i = 0; i < ELEMENTS(cases); i++)
                for (size_t k = 0; k < ELEMENTS(cases[i].dirs) && cases[i].dirs[k]; k++) {
                        int r = run(n++, cases[i].before, cases[i].change, cases[i].dirs[k], false);

                        if (r < 0 || synced == 0)
                                fail_msg("%s: %d, '%s' is synced %u times", cases[i].what, r,
                                         cases[i].dirs[k], synced);
                        r = run(n++, cases[i].before, cases[i].change, cases[i].dirs[k], true);
                        if (r != -EIO)
                                fail_msg("%s: %d, though '%s' cannot be synced", cases[i].what, r,
                                         cases[i].dirs[k]);
                }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_durable),
        };

        int r = own_run();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}
