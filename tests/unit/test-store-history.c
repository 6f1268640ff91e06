/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is kept of older saves, and what is not. */

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"
#include "store/history.h"
#include "store/store.h"
#include "tests/unit/ticket.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char top[32];
static Store store;

static int set_up(void **state) {
        Config config = {0};

        strcpy(top, "/tmp/carryover-test-XXXXXX");
        assert_non_null(mkdtemp(top));
        snprintf(config.store, sizeof config.store, "%s/store", top);
        assert_int_equal(store_open(&config, &store), 0);
        return 0;
}

static int tear_down(void **state) {
        store_close(&store);
        return file_remove_tree(AT_FDCWD, top);
}

static Ticket *save(unsigned number) {
        char id[16];
        Ticket *t;

        snprintf(id, sizeof id, "id%u", number);
        t = sample_ticket(id);
        t->sealed_at = number * 1000u;
        return t;
}

static void add(unsigned number, const char *kernel) {
        _cleanup_(ticket_freep) Ticket *t = save(number);

        assert_int_equal(model_set_string(&t->new_kernel, kernel), 0);
        assert_int_equal(store_history_add(&store, t), 0);
}

static void put(const char *name, const char *text) {
        _cleanup_(closep) int dir = openat(store.fd, "history", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(dir >= 0);
        assert_int_equal(file_replace(dir, name, text, strlen(text)), 0);
}

static void test_none(void **state) {
        _cleanup_(history_done) History h = {0};

        assert_int_equal(store_history(&store, &h), 0);
        assert_int_equal(h.n, 0);
        assert_null(h.damaged);
        assert_int_equal(faccessat(store.fd, "history", F_OK, 0), -1); /* who looks makes nothing */
}

static size_t files(void) {
        _cleanup_(closedirp) DIR *d =
                        fdopendir(openat(store.fd, "history", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        size_t n = 0;

        assert_non_null(d);
        for (struct dirent *e; (e = readdir(d));)
                n += e->d_name[0] != '.';
        return n;
}

static void test_newest_first(void **state) {
        _cleanup_(history_done) History h = {0};

        for (unsigned i = 1; i <= STORE_HISTORY + 5; i++)
                add(i, "one");
        assert_int_equal(files(), STORE_HISTORY);
        add(STORE_HISTORY, "another"); /* brought back by hand: told once more */
        assert_int_equal(store_history(&store, &h), 0);
        assert_int_equal(h.n, STORE_HISTORY);
        assert_string_equal(h.reports[0]->id, "id25");
        assert_string_equal(h.reports[STORE_HISTORY - 1]->id, "id6");
        assert_string_equal(h.reports[5]->id, "id20");
        assert_string_equal(h.reports[5]->new_kernel, "another");
        assert_string_equal(h.reports[4]->new_kernel, "one");
}

/* A save that was stopped has no seal. */
static void test_without_seal(void **state) {
        _cleanup_(ticket_freep) Ticket *t = save(0);
        _cleanup_(history_done) History h = {0};

        assert_int_equal(model_set_string(&t->stopped, "no room"), 0);
        add(7, "one");
        assert_int_equal(store_history_add(&store, t), 0);
        assert_int_equal(store_history_add(&store, t), 0);
        assert_int_equal(store_history(&store, &h), 0);
        assert_int_equal(h.n, 2);
        assert_string_equal(h.reports[0]->stopped, "no room"); /* now is later than 1970 */
}

static bool contains(const char *secret) {
        _cleanup_(closedirp) DIR *d = NULL;
        struct dirent *e;
        bool found = false;
        int dir = openat(store.fd, "history", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        d = fdopendir(dir);
        assert_non_null(d);
        while (!found && (e = readdir(d))) {
                _cleanup_(freep) char *text = NULL;
                size_t size;

                if (e->d_name[0] != '.' && file_slurp(dir, e->d_name, 1u << 20, &text, &size) >= 0)
                        found = memmem(text, size, secret, strlen(secret));
        }
        return found;
}

static void test_no_secrets(void **state) {
        _cleanup_(history_done) History h = {0};
        _cleanup_(ticket_freep) Ticket *t = save(3);
        Tree *tree = sample_tree(t, "session-4", 1234);
        uint8_t key[32];

        memset(key, 'K', sizeof key);
        tree->outcome = model_new(Outcome, outcome__init);
        assert_int_equal(model_set_string(&tree->outcome->reason, "the-reason"), 0);
        assert_int_equal(model_set_string(&tree->cgroup, "the-cgroup"), 0);
        tree->session = model_new(Session, session__init);
        assert_int_equal(model_set_string(&tree->session->id, "4"), 0);
        assert_int_equal(model_set_string(&tree->session->user, "joe"), 0);
        assert_int_equal(model_set_string(&tree->session->scope, "the-scope"), 0);
        assert_int_equal(model_set_string(&tree->session->state_file, "the-state"), 0);
        tree->has_frozen_at = true;
        tree->frozen_at = 4711;
        t->has_image_key = true;
        assert_int_equal(model_set_bytes(&t->image_key, key, sizeof key), 0);
        assert_int_equal(store_history_add(&store, t), 0);
        assert_int_equal(store_history(&store, &h), 0);
        assert_true(h.reports[0]->trees[0]->frozen_at == 4711); /* from when on it was silent */
        assert_true(contains("the-reason"));
        assert_false(contains("the-cgroup"));
        assert_false(contains("the-scope"));
        assert_false(contains("the-state"));
        assert_false(contains("KKKK"));
}

static void test_damaged(void **state) {
        _cleanup_(history_done) History h = {0};
        _cleanup_(freep) char *path = text_format("%s/history/00000000000000002000-id2", store.path);

        for (unsigned i = 1; i <= 3; i++)
                add(i, "one");
        put("00000000000000002000-id2", "nonsense");
        put("notes", "of somebody");
        put("123-x", "likewise");
        assert_int_equal(store_history(&store, &h), 0);
        assert_int_equal(h.n, 2);
        assert_string_equal(h.reports[1]->id, "id1");
        assert_string_equal(h.damaged, path);
        add(4, "one"); /* is no hindrance */
}

static void test_odd_id(void **state) {
        _cleanup_(ticket_freep) Ticket *t = sample_ticket("../report");

        assert_int_equal(store_history_add(&store, t), -EINVAL);
        assert_int_equal(faccessat(store.fd, "report", F_OK, 0), -1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_none, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_newest_first, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_without_seal, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_no_secrets, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_odd_id, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
