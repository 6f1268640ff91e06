/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The files of all trees, in one go. Needs root: /run and /tmp are the test's own. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "files/pax.h"
#include "model/digest.h"
#include "restore/restore.h"
#include "tests/unit/own-run.h"
#include "tests/unit/ticket.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SHARED "/tmp/shared"

static uint8_t key[DIGEST_KEY];
static const ImageKeys keys = {.digest = key};

/* The archive of a tree, with that file as it saw it. */
static void archive(int images_fd, const char *content) {
        _cleanup_(closep) int from = memfd_with("content", content, strlen(content));
        _cleanup_(closep) int fd = openat(images_fd, STORE_VOLATILE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        PaxEntry entry = {.path = SHARED};
        Pax *pax = NULL;

        assert_true(from >= 0 && fd >= 0);
        assert_int_equal(fstat(from, &entry.st), 0);
        entry.st.st_mode = S_IFREG | 0600;
        assert_int_equal(pax_create(fd, &(PaxLimits){UINT64_MAX, UINT64_MAX}, &pax), 0);
        assert_int_equal(pax_add(pax, &entry, from), 0);
        assert_int_equal(pax_finish(pax), 0);
        (void)pax_free(pax);
}

static Tree *tree_with(const Store *store, Ticket *ticket, const char *name, uint64_t frozen_at,
                       const char *content) {
        Tree *tree = sample_tree(ticket, name, 1234);
        ImageFile *image = model_new(ImageFile, image_file__init);
        _cleanup_(closep) int images_fd = store_tree_create(store, name), fd = -1;
        uint8_t digest[DIGEST_SIZE];

        assert_true(images_fd >= 0 && image);
        archive(images_fd, content);
        fd = openat(images_fd, STORE_VOLATILE, O_RDONLY | O_CLOEXEC);
        assert_int_equal(digest_image(fd, key, digest, &image->size), 0);
        assert_int_equal(model_set_string(&image->name, STORE_VOLATILE), 0);
        assert_int_equal(model_set_bytes(&image->digest, digest, sizeof digest), 0);
        assert_int_equal(model_append(tree->images, tree->n_images, image), 0);
        tree->has_frozen_at = true;
        tree->frozen_at = frozen_at;
        tree->outcome = model_new(Outcome, outcome__init);
        assert_non_null(tree->outcome);
        return tree;
}

/* Whichever comes first in the ticket. */
static void test_last_frozen_wins(void **state) {
        (void)state;
        for (unsigned first = 0; first < 2; first++) {
                _cleanup_(ticket_freep) Ticket *ticket = sample_ticket("id");
                Timeline timeline = {.ticket = ticket, .lock = PTHREAD_MUTEX_INITIALIZER};
                _cleanup_(freep) char *content = NULL;
                ErrRecord answers[2];
                Config config = {0};
                Store store;

                snprintf(config.store, sizeof config.store, "/run/store-%u", first);
                assert_int_equal(store_open(&config, &store), 0);
                for (unsigned i = 0; i < 2; i++) {
                        bool late = i == first;

                        (void)tree_with(&store, ticket, late ? "late" : "early", late ? 2000 : 1000,
                                        late ? "as it was last" : "as it was before");
                }
                (void)unlink(SHARED);
                assert_int_equal(restore_files(&store, ticket, &keys, &timeline, answers), 0);
                assert_int_equal(answers[0].r, 0);
                assert_int_equal(answers[1].r, 0);
                assert_int_equal(file_slurp(AT_FDCWD, SHARED, 4096, &content, NULL), 0);
                assert_string_equal(content, "as it was last");
                store_close(&store);
        }
}

/* What was begun may use its files already; what has ended does not need them. */
static void test_only_pending(void **state) {
        _cleanup_(ticket_freep) Ticket *ticket = sample_ticket("id");
        Timeline timeline = {.ticket = ticket, .lock = PTHREAD_MUTEX_INITIALIZER};
        _cleanup_(closep) int images_fd = -1;
        Config config = {.store = "/run/store"};
        ErrRecord answers[2];
        Store store;

        (void)state;
        assert_int_equal(store_open(&config, &store), 0);
        (void)tree_with(&store, ticket, "ended", 1000, "no");
        (void)tree_with(&store, ticket, "begun", 1000, "nor this");
        ticket->trees[0]->outcome->state = OUTCOME__STATE__CARRIED;
        images_fd = store_tree_open(&store, "begun");
        assert_int_equal(store_tree_begin(images_fd), 0);
        (void)unlink(SHARED);
        assert_int_equal(restore_files(&store, ticket, &keys, &timeline, answers), 0);
        assert_int_equal(answers[0].r, 0);
        assert_int_equal(answers[1].r, 0);
        assert_int_equal(access(SHARED, F_OK), -1);
        store_close(&store);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_last_frozen_wins),
                        cmocka_unit_test(test_only_pending),
        };

        int r = own_run();

        if (r == 0 && mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777") < 0) {
                perror("cannot make a /tmp of the test's own");
                return 1;
        }
        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}
