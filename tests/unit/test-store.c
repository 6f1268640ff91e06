/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The commit points on disk. Needs root: /run is replaced by a tmpfs in a mount namespace of the test's
 * own. */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "model/codec.h"
#include "model/model.h"
#include "model/waiting.h"
#include "store/room.h"
#include "store/store.h"
#include "store/sweep.h"
#include "tests/unit/own-run.h"
#include "tests/unit/ticket.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static Ticket *sample(const char *id) {
        Ticket *t = sample_ticket(id);

        (void)sample_tree(t, "session-4", 1234);
        return t;
}

static Store fresh(void) {
        static int n;
        Config config = {0};
        Store store;

        snprintf(config.store, sizeof config.store, "/run/test-store-%d", n++);
        assert_int_equal(store_open(&config, &store), 0);
        return store;
}

static void test_seal_claim_report(void **state) {
        Store store = fresh();
        _cleanup_(ticket_freep) Ticket *t = sample("aa"), *back = NULL, *claimed = NULL, *report = NULL;
        bool ours = false;

        assert_int_equal(store_ticket(&store, &back), 1);
        assert_int_equal(store_claimed(&store, &claimed, &ours), 1);
        assert_int_equal(store_seal(&store, t, NULL), 0);
        assert_int_equal(store_seal(&store, t, NULL), -EEXIST);
        assert_int_equal(store_ticket(&store, &back), 0);
        assert_string_equal(back->trees[0]->name, "session-4");

        assert_int_equal(store_amend(&store, t), 0);
        assert_int_equal(store_claim(&store, t), 0);
        assert_int_equal(store_claim(&store, t), -ENOENT);
        assert_int_equal(store_amend(&store, t), -ENOENT); /* or it would come back twice */
        assert_int_equal(store_claimed(&store, &claimed, &ours), 0);
        assert_true(ours);

        /* another boot: /run is empty again */
        assert_int_equal(unlink("/run/carryover/claimed"), 0);
        model_free(TAKE(claimed));
        assert_int_equal(store_claimed(&store, &claimed, &ours), 0);
        assert_false(ours);
        assert_int_equal(store_take_over(claimed), 0);
        model_free(TAKE(claimed));
        assert_int_equal(store_claimed(&store, &claimed, &ours), 0);
        assert_true(ours);

        assert_int_equal(store_report(&store, &report), 1);
        assert_int_equal(store_report_write(&store, claimed), 0);
        assert_int_equal(store_report(&store, &report), 0);
        model_free(TAKE(claimed));
        assert_int_equal(store_claimed(&store, &claimed, &ours), 1);
        store_close(&store);
}

static void test_altered_ticket_is_set_aside(void **state) {
        Store store = fresh();
        _cleanup_(ticket_freep) Ticket *t = sample("bb"), *back = NULL;
        _cleanup_(closep) int fd = -1;

        assert_int_equal(store_seal(&store, t, NULL), 0);
        fd = openat(store.fd, "ticket", O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, "X", 1, 40), 1);
        assert_int_equal(store_ticket(&store, &back), -EBADMSG);
        assert_non_null(strstr(err_text(-EBADMSG), "ticket.bad"));
        assert_int_equal(store_ticket(&store, &back), 1);
        assert_int_equal(faccessat(store.fd, "ticket.bad", F_OK, 0), 0);
        store_close(&store);
}

/* carryover was taken back to an older version: the ticket waits for the newer one. */
static void test_newer_ticket_waits(void **state) {
        Store store = fresh();
        _cleanup_(ticket_freep) Ticket *t = sample("bc"), *back = NULL;
        const uint8_t formats[] = {CODEC_FORMAT + 1, CODEC_FORMAT};
        _cleanup_(closep) int fd = -1;

        assert_int_equal(store_seal(&store, t, NULL), 0);
        fd = openat(store.fd, "ticket", O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, &formats[0], 1, 8), 1);
        for (int i = 0; i < 2; i++)
                assert_int_equal(store_ticket(&store, &back), -EPROTONOSUPPORT);
        assert_int_equal(store_seal(&store, t, NULL), -EEXIST);
        assert_int_equal(pwrite(fd, &formats[1], 1, 8), 1);
        assert_int_equal(store_ticket(&store, &back), 0);
        store_close(&store);
}

/* A restore that was told to stop: what had not begun is sealed again, and outlives the claim's end. */
static void test_give_back(void **state) {
        Store store = fresh();
        _cleanup_(ticket_freep) Ticket *t = sample("ab"), *back = NULL, *claimed = NULL;
        bool ours;

        assert_int_equal(store_seal(&store, t, NULL), 0);
        assert_int_equal(store_claim(&store, t), 0);
        assert_int_equal(store_give_back(&store, t), 0);
        assert_int_equal(store_report_write(&store, t), 0);
        assert_int_equal(store_claimed(&store, &claimed, &ours), 1);
        assert_int_equal(store_ticket(&store, &back), 0);
        assert_string_equal(back->trees[0]->name, "session-4");
        store_close(&store);
}

static void sealed_is(const Store *store, const char *id, size_t n_trees) {
        _cleanup_(ticket_freep) Ticket *back = NULL;

        assert_int_equal(store_ticket(store, &back), 0);
        assert_string_equal(back->id, id);
        assert_int_equal(back->n_trees, n_trees);
}

/* What waits is in a sealed ticket at each moment: its own, then the new one, or its own again. */
static void test_seal_over_what_waits(void **state) {
        Store store = fresh();
        _cleanup_(ticket_freep) Ticket *old = sample("a1"), *new = sample("a2"), *waiting = NULL;
        _cleanup_(ticket_freep) Ticket *other = sample("a3");

        assert_int_equal(store_waiting(&store, &waiting), 1);
        assert_int_equal(store_seal(&store, old, NULL), 0);
        assert_int_equal(store_waiting(&store, &waiting), 0);
        assert_int_equal(model_set_string(&new->trees[0]->name, "session-5"), 0);
        assert_int_equal(waiting_join(new, waiting), 0);

        assert_int_equal(store_seal(&store, new, NULL), -EEXIST);
        assert_int_equal(store_seal(&store, new, other), -ENOENT);
        sealed_is(&store, "a1", 1);
        assert_int_equal(store_seal(&store, new, waiting), 0);
        sealed_is(&store, "a2", 2);
        assert_int_equal(store_unseal(&store, waiting), 0);
        sealed_is(&store, "a1", 1);

        /* what the next boot would not believe takes nobody's place */
        assert_int_equal(model_set_string(&new->trees[0]->name, ".."), 0);
        assert_int_equal(store_seal(&store, new, waiting), -EBADMSG);
        sealed_is(&store, "a1", 1);

        assert_int_equal(store_claim(&store, old), 0);
        model_free(TAKE(waiting));
        assert_int_equal(store_waiting(&store, &waiting), -EEXIST);
        assert_int_equal(store_seal(&store, new, old), -EEXIST);
        store_close(&store);
}

/* Whoever has a lock is told to end, and waited for. */
static void test_lock_is_waited_for(void **state) {
        _cleanup_(closep) int lock = -1;
        int ready[2], status;
        char byte;
        pid_t pid;

        assert_int_equal(run_lock_wait("restore", SIGTERM, 0), 1);
        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                if (run_lock("restore") < 0 || write(ready[1], "", 1) != 1)
                        _exit(1);
                for (;;)
                        pause();
        }
        assert_true(pid > 0);
        assert_int_equal(read(ready[0], &byte, 1), 1);
        assert_int_equal(run_lock("restore"), -EBUSY);
        assert_int_equal(run_lock_wait("restore", 0, now_monotonic()), -ETIMEDOUT);
        assert_int_equal(run_lock_wait("restore", SIGTERM, now_monotonic() + 60 * USEC_PER_SEC), 0);
        lock = run_lock("restore");
        assert_true(lock >= 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
        fd_close(ready[0]);
        fd_close(ready[1]);
}

/* The note of a save that has begun, and a seal that is taken back. */
static void test_saving(void **state) {
        Store store = fresh();
        _cleanup_(ticket_freep) Ticket *t = sample("sa"), *back = NULL;

        assert_int_equal(store_saving(&store, &back), 1);
        assert_int_equal(store_saving_begin(&store, t), 0);
        assert_int_equal(store_vacant(&store), 0); /* it is no ticket */
        assert_int_equal(store_saving(&store, &back), 0);
        assert_string_equal(back->trees[0]->name, "session-4");
        model_free(TAKE(back));
        assert_int_equal(store_seal(&store, t, NULL), 0);
        assert_int_equal(store_unseal(&store, NULL), 0);
        assert_int_equal(store_ticket(&store, &back), 1);
        assert_int_equal(store_saving_end(&store), 0);
        assert_int_equal(store_saving(&store, &back), 1);
        store_close(&store);
}

static bool is_there(const Store *store, const char *path) {
        return faccessat(store->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) >= 0;
}

static void holds(int dir_fd, const char *name, const char *content) {
        _cleanup_(freep) char *text = NULL;

        assert_int_equal(file_slurp(dir_fd, name, 64, &text, NULL), 0);
        assert_string_equal(text, content);
}

/* Images that were put aside come back without the notes of the last try, also if the first call was cut
 * short, and once only. */
static void test_retry(void **state) {
        Store store = fresh();
        _cleanup_(ticket_freep) Ticket *t = sample("re");
        _cleanup_(freep) char *path = NULL;
        _cleanup_(closep) int fd = -1;

        assert_int_equal(store_tree_retry(&store, "re", "session-4"), -ENOENT);
        fd = store_tree_create(&store, "session-4");
        assert_true(fd >= 0);
        assert_int_equal(file_replace(fd, "core-1.img", "x", 1), 0);
        assert_int_equal(file_replace(fd, "files.img", "sealed", 6), 0);
        assert_int_equal(file_replace(fd, "tty-info.img", "number 3", 8), 0);
        assert_int_equal(store_tree_begin(fd), 0);
        assert_int_equal(store_tree_keep_sealed(fd), 0);
        assert_int_equal(file_replace(fd, "files.img", "moved!", 6), 0);
        assert_int_equal(file_replace(fd, "tty-info.img", "number 7", 8), 0);
        assert_int_equal(store_tree_keep_sealed(fd), 0); /* a second start keeps what the first one did */
        t->trees[0]->outcome = model_new(Outcome, outcome__init);
        assert_non_null(t->trees[0]->outcome);
        assert_int_equal(store_tree_done(&store, "re", t->trees[0]), 0);
        assert_int_equal(store_tree_fail(&store, "re", "session-4", &path), 0);
        assert_true(is_there(&store, "failed/re/session-4/begun"));
        for (int i = 0; i < 2; i++) {
                assert_int_equal(store_tree_retry(&store, "re", "session-4"), 0);
                assert_true(is_there(&store, "save/session-4/core-1.img"));
                holds(fd, "files.img", "sealed");
                holds(fd, "tty-info.img", "number 3");
                assert_false(is_there(&store, "save/session-4/begun"));
                assert_false(is_there(&store, "save/session-4/done"));
                assert_false(is_there(&store, "failed/re"));
        }
        assert_int_equal(store_tree_retry(&store, "..", "session-4"), -EINVAL);
        assert_int_equal(store_tree_retry(&store, "re", "../session-4"), -EINVAL);
        store_close(&store);
}

static void write_ticket(const Store *store, const Ticket *t) {
        _cleanup_(freep) void *bytes = NULL;
        size_t size;

        assert_int_equal(codec_encode(CODEC_TICKET, &t->base, &bytes, &size), 0);
        assert_int_equal(file_replace(store->fd, "ticket", bytes, size), 0);
}

static void test_hostile_names_are_refused(void **state) {
        Store store = fresh();
        _cleanup_(ticket_freep) Ticket *t = sample("cc"), *back = NULL;

        assert_int_equal(store_tree_create(&store, "../x"), -EINVAL);
        assert_int_equal(model_set_string(&t->trees[0]->name, "../../etc"), 0);
        assert_int_equal(store_seal(&store, t, NULL), -EBADMSG);
        assert_int_equal(store_ticket(&store, &back), 1);
        write_ticket(&store, t);
        assert_int_equal(store_ticket(&store, &back), -EBADMSG);
        store_close(&store);
}

/* A key that is too short would be read past its end. */
static void test_keys_have_their_length(void **state) {
        Store store = fresh();
        _cleanup_(ticket_freep) Ticket *t = sample("cd"), *back = NULL;

        assert_int_equal(model_set_bytes(&t->image_key, "0123456789abcdef0123456789abcdef", 31), 0);
        t->has_image_key = true;
        assert_int_equal(store_seal(&store, t, NULL), -EBADMSG);
        assert_int_equal(model_set_bytes(&t->image_key, "0123456789abcdef0123456789abcdef", 32), 0);
        assert_int_equal(store_seal(&store, t, NULL), 0);
        assert_int_equal(store_ticket(&store, &back), 0);
        assert_int_equal(back->image_key.len, 32);
        store_close(&store);
}

/* Nothing would tell whether they are what was sealed. */
static void test_images_need_a_key(void **state) {
        Store store = fresh();
        _cleanup_(ticket_freep) Ticket *t = sample("cd");
        ImageFile *image = model_new(ImageFile, image_file__init);
        Tree *tree = sample_tree(t, "session-4", 1234);

        assert_int_equal(model_set_string(&image->name, "core-1.img"), 0);
        assert_int_equal(model_append(tree->images, tree->n_images, image), 0);
        t->has_image_key = false;
        assert_int_equal(store_seal(&store, t, NULL), -EBADMSG);
        t->has_image_key = true;
        assert_int_equal(store_seal(&store, t, NULL), 0);
        store_close(&store);
}

/* An escaped "-" in a unit's name: what select finds on a real machine must come back. */
static void test_names_of_slices(void **state) {
        Store store = fresh();
        _cleanup_(ticket_freep) Ticket *t = sample("ce"), *back = NULL;

        assert_int_equal(model_set_string(&t->trees[0]->slice, "a/../b.slice"), 0);
        assert_int_equal(store_seal(&store, t, NULL), -EBADMSG);
        assert_int_equal(model_set_string(&t->trees[0]->slice, "system-serial\\x2dgetty.slice"), 0);
        assert_int_equal(store_seal(&store, t, NULL), 0);
        assert_int_equal(store_ticket(&store, &back), 0);
        store_close(&store);
}

/* What is in save/ belongs to the ticket that waits; nobody may save over it, or clear it away. */
static void test_nothing_is_saved_over_a_ticket(void **state) {
        Store store = fresh();
        _cleanup_(ticket_freep) Ticket *t = sample("cf");
        _cleanup_(closep) int fd = -1;

        assert_int_equal(store_vacant(&store), 0);
        fd = store_tree_create(&store, "session-4");
        assert_true(fd >= 0);
        assert_int_equal(store_seal(&store, t, NULL), 0);
        assert_int_equal(store_vacant(&store), -EEXIST);
        assert_non_null(strstr(err_text(-EEXIST), "has not been restored yet"));
        assert_int_equal(store_claim(&store, t), 0);
        assert_int_equal(store_vacant(&store), -EEXIST);

        /* images that could not be put aside stay where they are */
        assert_int_equal(store_report_write(&store, t), 0);
        assert_int_equal(store_vacant(&store), 0);
        assert_int_equal(faccessat(store.fd, "save/session-4", F_OK, 0), 0);
        assert_int_equal(store_tree_remove(&store, "session-4"), 0);
        assert_int_equal(store_report_write(&store, t), 0);
        assert_int_equal(faccessat(store.fd, "save", F_OK, 0), -1);
        store_close(&store);
}

static void test_images_of_a_tree(void **state) {
        Store store = fresh();
        _cleanup_(closep) int fd = store_tree_create(&store, "session-4");
        _cleanup_(freep) char *path = NULL;
        char log[512];

        assert_true(fd >= 0);
        assert_int_equal(file_replace(fd, "core-1.img", "x", 1), 0);
        assert_int_equal(file_replace(fd, "dump.log", "x", 1), 0);
        assert_false(store_tree_begun(fd));
        assert_int_equal(store_tree_begin(fd), 0);
        assert_true(store_tree_begun(fd));
        assert_int_equal(store_tree_discard(&store, "session-4"), 0);
        snprintf(log, sizeof log, "%s/failed/last/session-4/dump.log", store.path);
        assert_int_equal(access(log, F_OK), 0);
        snprintf(log, sizeof log, "%s/failed/last/session-4/core-1.img", store.path);
        assert_int_equal(access(log, F_OK), -1);

        fd = fd_close(fd);
        fd = store_tree_create(&store, "session-4");
        assert_int_equal(store_tree_fail(&store, "dd", "session-4", &path), 0);
        assert_int_equal(access(path, F_OK), 0);
        store_close(&store);
}

static void remember(const Store *store, const char *id, Tree *tree, Outcome__State state) {
        tree->outcome = tree->outcome ?: model_new(Outcome, outcome__init);
        assert_non_null(tree->outcome);
        tree->outcome->state = state;
        assert_int_equal(store_tree_done(store, id, tree), 0);
}

/* A restore that is started again knows what became of a tree, though its images are gone or elsewhere. */
static void test_outcomes_outlive_images(void **state) {
        Store store = fresh();
        _cleanup_(ticket_freep) Ticket *t = sample("ee");
        _cleanup_(tree_freep) Tree *back = NULL;
        _cleanup_(freep) char *path = NULL;
        _cleanup_(closep) int fd = store_tree_create(&store, "session-4");

        assert_int_equal(file_replace(fd, "core-1.img", "x", 1), 0);
        assert_int_equal(store_tree_outcome(&store, "ee", "session-4", &back), 1);
        remember(&store, "ee", t->trees[0], OUTCOME__STATE__CARRIED);
        assert_int_equal(store_tree_empty(&store, "session-4"), 0);
        assert_int_equal(faccessat(fd, "core-1.img", F_OK, 0), -1);
        assert_int_equal(store_tree_outcome(&store, "ee", "session-4", &back), 0);
        assert_int_equal(back->outcome->state, OUTCOME__STATE__CARRIED);
        model_free(TAKE(back));

        assert_int_equal(store_tree_fail(&store, "ee", "session-4", &path), 0);
        remember(&store, "ee", t->trees[0], OUTCOME__STATE__FAILED);
        assert_int_equal(store_tree_outcome(&store, "ee", "session-4", &back), 0);
        assert_int_equal(back->outcome->state, OUTCOME__STATE__FAILED);

        /* neither another tree's nor somebody else's */
        assert_int_equal(model_set_string(&t->trees[0]->name, "session-5"), 0);
        assert_int_equal(store_tree_done(&store, "ee", t->trees[0]), -ENOENT);
        assert_int_equal(store_tree_outcome(&store, "ee", "../x", &back), -EINVAL);
        assert_int_equal(store_tree_outcome(&store, "ff", "session-4", &back), 1);
        store_close(&store);
}

/* A restore that dies between the first moment of a tree and all that is still to be done for it. */
static void test_running_is_noted(void **state) {
        Store store = fresh();
        _cleanup_(ticket_freep) Ticket *t = sample("eb");
        _cleanup_(tree_freep) Tree *back = NULL;
        _cleanup_(closep) int fd = store_tree_create(&store, "session-4");

        t->trees[0]->outcome = model_new(Outcome, outcome__init);
        assert_non_null(t->trees[0]->outcome);
        t->trees[0]->outcome->state = OUTCOME__STATE__CARRIED;
        t->trees[0]->root_start = 77;
        assert_int_equal(store_tree_ran(fd, "session-4", &back), 1);
        assert_int_equal(store_tree_runs(fd, t->trees[0]), 0);
        assert_int_equal(store_tree_ran(fd, "session-4", &back), 0);
        assert_int_equal(back->root_start, 77);
        model_free(TAKE(back));
        assert_int_equal(store_tree_ran(fd, "session-5", &back), -EBADMSG);
        assert_int_equal(store_tree_outcome(&store, "eb", "session-4", &back), 1); /* is not its end */
        assert_int_equal(store_tree_retry(&store, "eb", "session-4"), 0);
        assert_int_equal(store_tree_ran(fd, "session-4", &back), 1);
        store_close(&store);
}

static void test_open_store_is_refused(void **state) {
        Config config = {.store = "/run/test-open"};
        Store store;

        assert_int_equal(mkdir(config.store, 0755), 0);
        assert_int_equal(store_open(&config, &store), -EPERM);
        assert_non_null(strstr(err_text(-EPERM), "chmod 0700"));
        assert_int_equal(chmod(config.store, 0700), 0);
        assert_int_equal(store_open(&config, &store), 0);
        store_close(&store);
}

static void test_run_files(void **state) {
        Request request = REQUEST__INIT, *back = NULL;
        _cleanup_(keep_freep) Keep *keep = NULL;

        assert_int_equal(run_keep_read(&keep), 0);
        assert_int_equal(keep->n_targets, 0);
        assert_int_equal(run_request_read(&back), 1);
        request.action = (char *)"kexec";
        request.pid = 7;
        assert_int_equal(run_request_write(&request), 0);
        assert_int_equal(run_request_read(&back), 0);
        assert_int_equal(back->pid, 7);
        model_free(back);
        assert_int_equal(run_request_remove(), 0);
        assert_int_equal(run_request_remove(), 0);
        assert_int_equal(run_progress("%s", "one"), 0);
        assert_int_equal(run_progress("%s", "two"), 0);
}

/* A store on a file system of its own, of 2 MiB. */
static Store small(char path[static 64]) {
        Config config = {0};
        static int n;
        Store store;

        snprintf(path, 64, "/run/test-small-%d", n++);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(mount("tmpfs", path, "tmpfs", 0, "size=2m,nr_inodes=100,mode=0700"), 0);
        snprintf(config.store, sizeof config.store, "%s", path);
        assert_int_equal(store_open(&config, &store), 0);
        return store;
}

/* Not a byte is left, and not a file. */
static void fill(const Store *store) {
        static const char block[4096] = "x";
        _cleanup_(closep) int fd = openat(store->fd, "filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        char name[32];

        assert_true(fd >= 0);
        while (write(fd, block, sizeof block) > 0)
                ;
        assert_int_equal(errno, ENOSPC);
        for (int i = 0; i < 1000; i++) {
                _cleanup_(closep) int empty = -1;

                snprintf(name, sizeof name, "filler-%d", i);
                empty = openat(store->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
                if (empty < 0)
                        break;
        }
        assert_int_equal(errno, ENOSPC);
}

/* Others may fill the disk once it is sealed: what became of the trees is noted all the same. */
static void test_full(void **state) {
        char where[64];
        Store store = small(where);
        _cleanup_(ticket_freep) Ticket *t = sample("fu"), *claimed = NULL, *report = NULL;
        _cleanup_(tree_freep) Tree *back = NULL;
        _cleanup_(freep) char *path = NULL;
        _cleanup_(closep) int fd = store_tree_create(&store, "session-4");
        char reason[20000];
        bool ours;

        (void)state;
        assert_int_equal(file_replace(fd, "core-1.img", "x", 1), 0);
        assert_int_equal(store_reserve(&store, t, true), 0);
        assert_int_equal(store_tree_reserve(fd, t->trees[0]), 1);
        assert_int_equal(store_tree_reserve(fd, t->trees[0]), 0);
        assert_int_equal(store_seal(&store, t, NULL), 0);
        fill(&store);
        assert_int_equal(store_claim(&store, t), 0);
        assert_int_equal(store_claimed(&store, &claimed, &ours), 0);
        assert_int_equal(store_tree_begin(fd), 0);
        assert_true(store_tree_begun(fd));
        assert_int_equal(store_tree_runs(fd, claimed->trees[0]), 0);
        memset(reason, 'x', sizeof reason - 1);
        reason[sizeof reason - 1] = '\0';
        claimed->trees[0]->outcome = model_new(Outcome, outcome__init);
        assert_non_null(claimed->trees[0]->outcome);
        claimed->trees[0]->outcome->state = OUTCOME__STATE__FAILED;
        assert_int_equal(model_set_string(&claimed->trees[0]->outcome->reason, reason), 0);
        assert_int_equal(store_tree_fail(&store, "fu", "session-4", &path), 0);
        assert_int_equal(store_tree_done(&store, "fu", claimed->trees[0]), 0);
        assert_int_equal(store_tree_outcome(&store, "fu", "session-4", &back), 0);
        assert_int_equal(back->outcome->state, OUTCOME__STATE__FAILED);
        assert_int_equal(store_give_back(&store, claimed), 0);
        assert_int_equal(store_report_write(&store, claimed), 0);
        assert_int_equal(store_report(&store, &report), 0);
        assert_int_equal(report->trees[0]->outcome->state, OUTCOME__STATE__FAILED);
        store_close(&store);
        fd = fd_close(fd);
        assert_int_equal(umount(where), 0);
}

static void test_space(void **state) {
        char where[64];
        Store store = small(where);
        StoreSpace space;
        _cleanup_(closep) int fd = -1;

        (void)state;
        assert_int_equal(store_space(&store, &space), 0);
        assert_int_equal(space.size, 2 << 20);
        assert_true(space.used < 1 << 20);
        assert_true(space.free <= space.size - space.size / 20);
        assert_int_equal(store_lasts(&store), -EOPNOTSUPP); /* it is a tmpfs */
        assert_non_null(strstr(err_text(-EOPNOTSUPP), "Store="));
        assert_int_equal(mkdirat(store.fd, "failed", 0700), 0);
        assert_int_equal(mkdirat(store.fd, "failed/id", 0700), 0);
        assert_int_equal(mkdirat(store.fd, "failed/id/tree", 0700), 0);
        fd = openat(store.fd, "failed/id/tree/pages-1.img", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(posix_fallocate(fd, 0, 1 << 20), 0);
        assert_int_equal(store_space(&store, &space), 0);
        assert_true(space.used >= 1 << 20);
        assert_true(space.free <= 1 << 20);
        fd = fd_close(fd);
        fill(&store);
        assert_int_equal(store_space(&store, &space), 0);
        assert_int_equal(space.free, 0);
        store_close(&store);
        assert_int_equal(umount(where), 0);
}

/* Without room for what must be noted nothing is promised. */
static void test_no_room(void **state) {
        char where[64];
        Store store = small(where);
        _cleanup_(ticket_freep) Ticket *t = sample("nr"), *back = NULL;
        _cleanup_(closep) int fd = store_tree_create(&store, "session-4");
        int r;

        (void)state;
        fill(&store);
        r = store_tree_reserve(fd, t->trees[0]);
        assert_int_equal(r, -ENOSPC);
        assert_non_null(strstr(err_text(r), "reserve space"));
        assert_int_equal(store_reserve(&store, t, true), -ENOSPC);
        assert_int_equal(store_seal(&store, t, NULL), -ENOSPC);
        assert_int_equal(store_ticket(&store, &back), 1);
        assert_false(is_there(&store, "report.room") || is_there(&store, "failed"));
        store_close(&store);
        fd = fd_close(fd);
        assert_int_equal(umount(where), 0);
}

/* What is sealed has room for its notes, and what was left behind needs none. */
static void test_room_of_sealed(void **state) {
        Store store = fresh();
        _cleanup_(ticket_freep) Ticket *t = sample("rs");
        _cleanup_(closep) int sealed = store_tree_create(&store, "session-4"), left = -1;

        (void)state;
        left = store_tree_create(&store, "session-5");
        assert_true(sealed >= 0 && left >= 0);
        sample_tree(t, "session-5", 1235)->outcome = model_new(Outcome, outcome__init);
        assert_non_null(t->trees[1]->outcome);
        assert_int_equal(store_seal(&store, t, NULL), 0);
        assert_true(is_there(&store, "save/session-4/runs.room"));
        assert_true(is_there(&store, "save/session-4/done.room"));
        assert_false(is_there(&store, "save/session-5/done.room"));
        store_close(&store);
}

/* Not even a place for what goes can be made: then it goes at once, and makes room. */
static void test_full_of_images(void **state) {
        char where[64];
        Store store = small(where);
        _cleanup_(closep) int fd = store_tree_create(&store, "session-4");

        (void)state;
        assert_int_equal(file_replace(fd, "core-1.img", "x", 1), 0);
        assert_int_equal(file_replace(fd, "dump.log", "x", 1), 0);
        fill(&store);
        assert_int_equal(store_tree_empty(&store, "session-4"), 0);
        assert_false(is_there(&store, "save/session-4/core-1.img") || is_there(&store, "gone"));
        assert_true(is_there(&store, "save/session-4/dump.log"));
        fd = fd_close(fd);
        fill(&store);
        assert_int_equal(store_tree_remove(&store, "session-4"), 0);
        assert_false(is_there(&store, "save/session-4") || is_there(&store, "gone"));
        store_close(&store);
        assert_int_equal(umount(where), 0);
}

static void fail_one(const Store *store, const char *id) {
        _cleanup_(ticket_freep) Ticket *t = sample(id);
        _cleanup_(closep) int fd = store_tree_create(store, "session-4");
        _cleanup_(freep) char *path = NULL;

        assert_int_equal(file_replace(fd, "core-1.img", id, strlen(id)), 0);
        assert_int_equal(store_seal(store, t, NULL), 0);
        assert_int_equal(store_claim(store, t), 0);
        assert_int_equal(store_tree_fail(store, id, "session-4", &path), 0);
        assert_int_equal(store_age(store, UINT64_MAX), 0); /* not in the middle of it */
        assert_true(is_there(store, "report") || strcmp(id, "a1") == 0);
        assert_int_equal(store_report_write(store, t), 0);
        assert_false(is_there(store, "report.room") || is_there(store, "ticket.room"));
}

/* Links beside the files of a tree, that another try would have needed, go with its images. */
static void test_age_of_links(void **state) {
        Store store = fresh();
        _cleanup_(ticket_freep) Ticket *t = sample("ac");
        _cleanup_(freep) char *path = NULL;
        LostName *lost = model_new(LostName, lost_name__init);
        Tree *tree = t->trees[0];
        struct stat st;

        fd_close(store_tree_create(&store, "session-4"));
        assert_int_equal(mknod("/run/other-name", S_IFREG | 0600, 0), 0);
        assert_int_equal(link("/run/other-name", "/run/link_remap.7"), 0);
        assert_int_equal(stat("/run/other-name", &st), 0);
        tree->traces = model_new(Traces, traces__init);
        assert_true(lost && tree->traces);
        lost->inode = st.st_ino;
        assert_int_equal(model_set_string(&lost->path, "/run/lost"), 0);
        assert_int_equal(model_append(tree->traces->lost, tree->traces->n_lost, lost), 0);
        assert_int_equal(store_tree_fail(&store, "ac", "session-4", &path), 0);
        remember(&store, "ac", tree, OUTCOME__STATE__FAILED);
        assert_int_equal(store_age(&store, 0), 0); /* of a save that nobody knows, and not old yet */
        assert_int_equal(access("/run/link_remap.7", F_OK), 0);
        assert_int_equal(store_age(&store, UINT64_MAX), 0);
        assert_int_equal(access("/run/link_remap.7", F_OK), -1);
        assert_int_equal(access("/run/other-name", F_OK), 0);
        store_close(&store);
}

/* What nobody can try again goes, and in the end what nobody did; and it is overwritten as the others
 * are. */
static void test_age(void **state) {
        Store store = fresh();

        (void)state;
        assert_int_equal(store_age(&store, UINT64_MAX), 0);
        fail_one(&store, "a1");
        assert_int_equal(store_age(&store, 0), 0);
        assert_true(is_there(&store, "failed/a1/session-4/core-1.img"));
        fail_one(&store, "b2");
        assert_int_equal(mkdirat(store.fd, "failed/last", 0700), 0);
        assert_int_equal(store_age(&store, 0), 0);
        assert_false(is_there(&store, "failed/a1"));
        holds(store.fd, "gone/session-4.0/core-1.img", "a1");
        assert_true(is_there(&store, "failed/b2/session-4/core-1.img"));
        assert_int_equal(store_age(&store, UINT64_MAX), 0);
        assert_false(is_there(&store, "failed/b2"));
        holds(store.fd, "gone/session-4.1/core-1.img", "b2");
        assert_true(is_there(&store, "failed/last"));
        assert_int_equal(store_wipe(&store, -1), 0);
        assert_false(is_there(&store, "gone"));
        store_close(&store);
}

#define CHANGERS 16
#define CHANGES  12

static int add_target(Keep *keep, void *userdata) {
        char *target = strdup(userdata);

        return target && model_append(keep->targets, keep->n_targets, target) == 0 ? 1 : -ENOMEM;
}

static int drop_target(Keep *keep, void *userdata) {
        for (size_t i = 0; i < keep->n_targets; i++)
                if (strcmp(keep->targets[i], userdata) == 0) {
                        free(keep->targets[i]);
                        keep->targets[i] = keep->targets[--keep->n_targets];
                        return 1;
                }
        return -ENOENT;
}

/* Each keeps some and drops one of them again. */
static int change_much(int who) {
        char target[32];

        for (int i = 0; i < CHANGES; i++) {
                snprintf(target, sizeof target, "pid:%d@%d", who + 1, i + 1);
                if (run_keep_change(add_target, target) != 1)
                        return 1;
        }
        return run_keep_change(drop_target, target) != 1;
}

/* `carryover keep` and `drop`, many at once: no entry is lost. */
static void test_keep_list_is_changed_by_one_at_a_time(void **state) {
        _cleanup_(keep_freep) Keep *keep = NULL;
        pid_t pids[CHANGERS];
        int status;

        for (int i = 0; i < CHANGERS; i++) {
                pids[i] = fork();
                if (pids[i] == 0)
                        _exit(change_much(i));
        }
        for (int i = 0; i < CHANGERS; i++) {
                assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
                assert_int_equal(status, 0);
        }
        assert_int_equal(run_keep_read(&keep), 0);
        assert_int_equal(keep->n_targets, CHANGERS * (CHANGES - 1));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_seal_claim_report),
                        cmocka_unit_test(test_give_back),
                        cmocka_unit_test(test_saving),
                        cmocka_unit_test(test_seal_over_what_waits),
                        cmocka_unit_test(test_lock_is_waited_for),
                        cmocka_unit_test(test_retry),
                        cmocka_unit_test(test_altered_ticket_is_set_aside),
                        cmocka_unit_test(test_newer_ticket_waits),
                        cmocka_unit_test(test_hostile_names_are_refused),
                        cmocka_unit_test(test_keys_have_their_length),
                        cmocka_unit_test(test_images_need_a_key),
                        cmocka_unit_test(test_names_of_slices),
                        cmocka_unit_test(test_nothing_is_saved_over_a_ticket),
                        cmocka_unit_test(test_images_of_a_tree),
                        cmocka_unit_test(test_outcomes_outlive_images),
                        cmocka_unit_test(test_running_is_noted),
                        cmocka_unit_test(test_open_store_is_refused),
                        cmocka_unit_test(test_run_files),
                        cmocka_unit_test(test_full),
                        cmocka_unit_test(test_space),
                        cmocka_unit_test(test_no_room),
                        cmocka_unit_test(test_room_of_sealed),
                        cmocka_unit_test(test_full_of_images),
                        cmocka_unit_test(test_age),
                        cmocka_unit_test(test_age_of_links),
                        cmocka_unit_test(test_keep_list_is_changed_by_one_at_a_time),
        };

        int r = own_run();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}
