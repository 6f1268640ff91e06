/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A tree with files that have lost their names waits for its turn, and begins only if it may. */

#include "base/cleanup.h"
#include "base/fd.h"
#include "image/internal.h"
#include "restore/restore.h"
#include "restore/turn.h"

#include "criu-image.pb-c.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

static int stop_fd = -1, waited;

/* The fake: while the CRIU of a start before this one ends, or does not, somebody tells us to stop. */
int criu_wait_orphans(const char *criu, uint64_t deadline) {
        const uint64_t one = 1;

        assert_int_equal(write(stop_fd, &one, sizeof one), sizeof one);
        return waited;
}

static int ready(const Tree *tree, int *ret_procs_fd, void *userdata) {
        *ret_procs_fd = -1;
        return 0;
}

/* One file of another name. */
static void write_images(int home_fd) {
        _cleanup_(image_writer_done) ImageWriter files = {0}, remaps = {0};
        ImgRegFile program = IMG_REG_FILE__INIT, other = IMG_REG_FILE__INIT;
        ImgFile file = IMG_FILE__INIT, link = IMG_FILE__INIT;
        ImgRemap remap = IMG_REMAP__INIT;

        program.id = file.id = remap.orig_id = 2;
        program.name = (char *)"/nowhere/program";
        other.id = link.id = remap.remap_id = 3;
        other.name = (char *)"/nowhere/link_remap.3";
        file.type = link.type = 1;
        file.reg = &program;
        link.reg = &other;
        remap.has_remap_type = true;
        assert_int_equal(image_put_head(&files, IMAGE_FILES), 0);
        assert_int_equal(image_put_message(&files, &file.base), 0);
        assert_int_equal(image_put_message(&files, &link.base), 0);
        assert_int_equal(image_put_head(&remaps, IMAGE_REMAP_FPATH), 0);
        assert_int_equal(image_put_message(&remaps, &remap.base), 0);
        assert_int_equal(file_replace(home_fd, "files.img", files.data, files.size), 0);
        assert_int_equal(file_replace(home_fd, "remap-fpath.img", remaps.data, remaps.size), 0);
}

static void stopped(int answer) {
        char path[] = "/tmp/carryover-test-XXXXXX";
        RestoreTurns turns = RESTORE_TURNS_INIT;
        const ErrRecord files = {0};
        _cleanup_(ticket_freep) Ticket *ticket = model_new(Ticket, ticket__init);
        Timeline timeline = {.lock = PTHREAD_MUTEX_INITIALIZER, .ticket = ticket};
        _cleanup_(closep) int home_fd = -1;
        CriuFeatures features = {0};
        Outcome outcome = OUTCOME__INIT;
        Tree tree = TREE__INIT;
        Config config = {0};
        Store store = {.fd = -1};
        RestoreJob job = {
                        .config = &config,
                        .store = &store,
                        .features = &features,
                        .timeline = &timeline,
                        .turns = &turns,
                        .files = &files,
                        .ready = ready,
        };

        assert_non_null(ticket);
        assert_non_null(mkdtemp(path));
        snprintf(config.store, sizeof config.store, "%s/store", path);
        snprintf(config.criu, sizeof config.criu, "/nowhere/criu");
        assert_int_equal(store_open(&config, &store), 0);
        tree.name = (char *)"session-4";
        tree.outcome = &outcome;
        home_fd = store_tree_create(&store, tree.name);
        assert_true(home_fd >= 0);
        write_images(home_fd);
        stop_fd = job.stop_fd = eventfd(0, EFD_CLOEXEC);
        waited = answer;
        assert_int_equal(restore_tree(&job, &tree), -ECANCELED);
        assert_false(store_tree_begun(home_fd));
        stop_fd = fd_close(stop_fd);
        store_close(&store);
        assert_int_equal(file_remove_tree(AT_FDCWD, path), 0);
}

static void test_stopped_while_it_waits(void **state) {
        stopped(0);
}

/* It has not failed: nothing of it has begun. */
static void test_stopped_and_waited_in_vain(void **state) {
        stopped(-ETIMEDOUT);
}

#define THREADS 4u
#define EACH    25u

typedef struct Room {
        RestoreTurns turns;
        unsigned inside, together; /* guarded by the turn alone */
} Room;

static void *go_round(void *userdata) {
        Room *room = userdata;

        for (unsigned i = 0; i < EACH; i++) {
                Turn turn = {0};

                turn_take(&room->turns, &turn);
                room->together += room->inside++;
                sched_yield();
                room->inside--;
                turn_end(&turn);
                turn_end(&turn); /* it has none any more */
        }
        return NULL;
}

static void test_one_at_a_time(void **state) {
        Room room = {.turns = RESTORE_TURNS_INIT};
        pthread_t threads[THREADS];

        for (size_t i = 0; i < THREADS; i++)
                assert_int_equal(pthread_create(threads + i, NULL, go_round, &room), 0);
        for (size_t i = 0; i < THREADS; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(room.inside, 0);
        assert_int_equal(room.together, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_stopped_while_it_waits),
                        cmocka_unit_test(test_stopped_and_waited_in_vain),
                        cmocka_unit_test(test_one_at_a_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
