/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Profiles of AppArmor, on a /sys made by hand in a mount namespace of its own; needs root. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "kernel/apparmor.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DIRECTORY "/sys/kernel/security/apparmor"

static void load(const char *profiles) {
        _cleanup_(closep) int fd =
                        open(DIRECTORY "/profiles", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, profiles, strlen(profiles)), 0);
}

static Tree *tree_under(const char *const *labels, size_t n) {
        Tree *tree = model_new(Tree, tree__init);

        for (size_t i = 0; i < n; i++) {
                Rights *rights = model_new(Rights, rights__init);

                assert_int_equal(model_set_string(&rights->text, labels[i]), 0);
                assert_int_equal(model_append(tree->rights, tree->n_rights, rights), 0);
        }
        assert_int_equal(apparmor_note(tree), 0);
        return tree;
}

/* Each once, from the labels of all threads. */
static void test_note(void **state) {
        static const char *const labels[] = {"Uid: 0 0 0 0\nLabel: man (enforce)\n", "Uid: 0\n",
                                             "Label: unconfined\n", "Label: man//&a b (mixed)\n"};
        _cleanup_(tree_freep) Tree *tree = tree_under(labels, ELEMENTS(labels));

        assert_int_equal(apparmor_note(tree), 0); /* anew */
        assert_int_equal(tree->n_profiles, 2);
        assert_string_equal(tree->profiles[0], "man");
        assert_string_equal(tree->profiles[1], "a b");
}

static void *load_later(void *userdata) {
        _cleanup_(closep) int fd = -1;

        usleep(200 * 1000); /* so that the other thread waits; the test holds without it, too */
        load("other (enforce)\nman (enforce)\n");
        fd = open(DIRECTORY "/revision", O_WRONLY | O_CLOEXEC);
        assert_int_equal(fd_write_all(fd, "2\n", 2), 0);
        return NULL;
}

static void test_wait(void **state) {
        static const char *const labels[] = {"Label: man (enforce)\n"};
        _cleanup_(tree_freep) Tree *none = NULL, *tree = NULL;
        _cleanup_(closep) int stop = eventfd(1, EFD_CLOEXEC);
        pthread_t thread;

        load("other (enforce)\nmanx (enforce)\n");
        none = tree_under(NULL, 0);
        assert_int_equal(apparmor_wait(none, 0, -1), 0);
        tree = tree_under(labels, 1);
        assert_int_equal(apparmor_wait(tree, 50000, -1), -ETIMEDOUT);
        assert_string_equal(err_text(-ETIMEDOUT),
                            "AppArmor profile man, under which the tree ran, is not loaded");
        assert_int_equal(apparmor_wait(tree, 20000000, stop), -ECANCELED);
        assert_int_equal(pthread_create(&thread, NULL, load_later, NULL), 0);
        assert_int_equal(apparmor_wait(tree, 20000000, -1), 0);
        pthread_join(thread, NULL);
        assert_int_equal(unlink(DIRECTORY "/profiles"), 0);
        assert_int_equal(apparmor_wait(tree, 20000000, -1), -EOPNOTSUPP);
        assert_non_null(strstr(err_text(-EOPNOTSUPP), "runs without AppArmor"));
        assert_int_equal(apparmor_note(tree), 0); /* another module's labels */
        assert_int_equal(tree->n_profiles, 0);
}

static int set_up(void **state) {
        if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
            mount("none", "/sys/kernel", "tmpfs", 0, NULL) < 0 || mkdir("/sys/kernel/security", 0700) < 0 ||
            mkdir(DIRECTORY, 0700) < 0 || mkfifo(DIRECTORY "/revision", 0600) < 0)
                return -1;
        load("man (enforce)\n");
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_note), cmocka_unit_test(test_wait)};

        if (geteuid() != 0)
                return 77;
        return cmocka_run_group_tests(tests, set_up, NULL);
}
