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
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
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

/* One file of another name, in that directory. */
static void write_images(int home_fd, const char *directory) {
        _cleanup_(image_writer_done) ImageWriter files = {0}, remaps = {0};
        ImgRegFile program = IMG_REG_FILE__INIT, other = IMG_REG_FILE__INIT;
        ImgFile file = IMG_FILE__INIT, link = IMG_FILE__INIT;
        ImgRemap remap = IMG_REMAP__INIT;
        char name[128], other_name[128];

        snprintf(name, sizeof name, "%s/program", directory);
        snprintf(other_name, sizeof other_name, "%s/link_remap.3", directory);
        program.id = file.id = remap.orig_id = 2;
        program.name = name;
        other.id = link.id = remap.remap_id = 3;
        other.name = other_name;
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
        write_images(home_fd, "/nowhere");
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

/* Trees that use files which have lost their names, each in one directory of the test's own. */
typedef enum Where { HERE, THERE, NOWHERE, N_WHERE } Where;

typedef struct World {
        char top[32];
        Remaps remaps[N_WHERE];
        RestoreTurns turns;
        pthread_barrier_t met;
        unsigned inside[N_WHERE], met_alone, met_own; /* guarded by the turns alone */
} World;

static int set_up(void **state) {
        static const char *const names[] = {[HERE] = "here", [THERE] = "there", [NOWHERE] = "nowhere"};
        World *w = calloc(1, sizeof *w);

        assert_non_null(w);
        w->turns = (RestoreTurns)RESTORE_TURNS_INIT;
        strcpy(w->top, "/tmp/carryover-test-XXXXXX");
        assert_non_null(mkdtemp(w->top));
        for (size_t i = 0; i < N_WHERE; i++) {
                _cleanup_(closep) int fd = open(w->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                char path[64];

                snprintf(path, sizeof path, "%s/%s", w->top, names[i]);
                if (i != NOWHERE)
                        assert_int_equal(mkdir(path, 0700), 0);
                write_images(fd, path);
                assert_int_equal(remaps_load(fd, w->remaps + i), 0);
        }
        alarm(100); /* for turns that never come */
        *state = w;
        return 0;
}

static int tear_down(void **state) {
        World *w = *state;

        alarm(0);
        for (size_t i = 0; i < N_WHERE; i++)
                remaps_done(w->remaps + i);
        assert_null(w->turns.first);
        assert_int_equal(file_remove_tree(AT_FDCWD, w->top), 0);
        free(w);
        return 0;
}

typedef struct Goer {
        World *world;
        Where where;
        pthread_t thread;
} Goer;

static void run(World *w, void *(*go)(void *), const Where *where, size_t n) {
        Goer goers[8];

        for (size_t i = 0; i < n; i++) {
                goers[i] = (Goer){.world = w, .where = where[i]};
                assert_int_equal(pthread_create(&goers[i].thread, NULL, go, goers + i), 0);
        }
        for (size_t i = 0; i < n; i++)
                assert_int_equal(pthread_join(goers[i].thread, NULL), 0);
}

static void *meet(void *userdata) {
        Goer *g = userdata;
        Turn turn = {0};

        turn_take(&g->world->turns, g->world->remaps + g->where, &turn);
        (void)pthread_barrier_wait(&g->world->met);
        turn_end(&turn);
        turn_end(&turn); /* it has none any more */
        return NULL;
}

static void test_side_by_side(void **state) {
        static const Where where[] = {HERE, THERE};
        World *w = *state;

        assert_int_equal(pthread_barrier_init(&w->met, NULL, 2), 0);
        run(w, meet, where, ELEMENTS(where));
}

#define EACH 10u

/* Each counts in what is guarded by its own directory; the one that is alone looks at all of it. */
static void *go_round(void *userdata) {
        Goer *g = userdata;
        World *w = g->world;

        for (unsigned i = 0; i < EACH; i++) {
                Turn turn = {0};

                turn_take(&w->turns, w->remaps + g->where, &turn);
                if (g->where == NOWHERE)
                        w->met_alone += w->inside[HERE] + w->inside[THERE] + w->inside[NOWHERE];
                else if (w->inside[g->where] > 0)
                        w->met_own++;
                w->inside[g->where]++;
                sched_yield();
                w->inside[g->where]--;
                turn_end(&turn);
        }
        return NULL;
}

static void nobody_meets(World *w, const Where *where, size_t n) {
        run(w, go_round, where, n);
        assert_int_equal(w->met_alone, 0);
        assert_int_equal(w->met_own, 0);
}

static void test_one_directory(void **state) {
        static const Where where[] = {HERE, HERE, HERE, HERE};

        nobody_meets(*state, where, ELEMENTS(where));
}

/* A directory that is not there is made, and with it perhaps that of another one. */
static void test_alone(void **state) {
        static const Where where[] = {HERE, THERE, NOWHERE, NOWHERE};

        nobody_meets(*state, where, ELEMENTS(where));
}

static void *look_late(void *userdata) {
        Goer *g = userdata;
        Turn turn = {0};

        (void)pthread_barrier_wait(&g->world->met);
        turn_take(&g->world->turns, g->world->remaps + g->where, &turn);
        g->world->met_alone += turn.places.anywhere;
        turn_end(&turn);
        return NULL;
}

/* What one that is alone has made for a moment is nobody's directory. */
static void test_made_for_a_moment(void **state) {
        World *w = *state;
        Goer goer = {.world = w, .where = NOWHERE};
        Turn turn = {0};
        char path[64];

        assert_int_equal(pthread_barrier_init(&w->met, NULL, 2), 0);
        turn_take(&w->turns, w->remaps + NOWHERE, &turn);
        assert_true(turn.places.anywhere);
        snprintf(path, sizeof path, "%s/nowhere", w->top);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(pthread_create(&goer.thread, NULL, look_late, &goer), 0);
        (void)pthread_barrier_wait(&w->met);
        for (int i = 0; i < 100; i++)
                sched_yield(); /* it could look now, if it did not wait */
        assert_int_equal(rmdir(path), 0);
        turn_end(&turn);
        assert_int_equal(pthread_join(goer.thread, NULL), 0);
        assert_int_equal(w->met_alone, 1);
}

/* One that makes directories would change what another is looking at. */
static void test_while_another_looks(void **state) {
        World *w = *state;
        Goer goer = {.world = w, .where = NOWHERE};
        Turn looking = {.turns = &w->turns};

        w->turns.first = &looking;
        w->inside[HERE] = 1;
        assert_int_equal(pthread_create(&goer.thread, NULL, go_round, &goer), 0);
        for (int i = 0; i < 100; i++)
                sched_yield(); /* it could go now, if it did not wait */
        w->inside[HERE] = 0;
        turn_end(&looking);
        assert_int_equal(pthread_join(goer.thread, NULL), 0);
        assert_int_equal(w->met_alone, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_stopped_while_it_waits),
                        cmocka_unit_test(test_stopped_and_waited_in_vain),
                        cmocka_unit_test_setup_teardown(test_side_by_side, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_one_directory, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_alone, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_made_for_a_moment, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_while_another_looks, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
