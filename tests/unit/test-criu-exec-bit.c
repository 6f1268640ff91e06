/* SPDX-License-Identifier: GPL-2.0-or-later */

/* On a child that runs a program of the test's own. */

#include "base/cleanup.h"
#include "base/fd.h"
#include "criu/exec-bit.h"
#include "model/model.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/carryover-test-XXXXXX";
static char exe[40];
static pid_t child;

static void copy_program(int out, mode_t perms) {
        _cleanup_(closep) int in = open("/bin/sleep", O_RDONLY | O_CLOEXEC);
        struct stat st;

        assert_true(in >= 0 && out >= 0 && fstat(in, &st) == 0);
        assert_int_equal(sendfile(out, in, NULL, (size_t)st.st_size), st.st_size);
        assert_int_equal(fchmod(out, perms), 0);
}

static void copy_program_to(const char *name, mode_t perms) {
        _cleanup_(closep) int out = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        copy_program(out, perms);
}

static void make_program(void) {
        _cleanup_(closep) int out = mkostemp(path, O_CLOEXEC);

        copy_program(out, 0700);
}

static int set_up(void **state) {
        _cleanup_(closep) int wait_fd = -1;
        int fds[2];
        char byte;

        (void)state;
        memcpy(strrchr(path, '-') + 1, "XXXXXX", 6);
        make_program();
        if (pipe2(fds, O_CLOEXEC) < 0 || (child = fork()) < 0)
                return -1;
        if (child == 0) {
                execl(path, "sleep", "1000", NULL);
                _exit(1);
        }
        (void)fd_close(fds[1]);
        wait_fd = fds[0];
        snprintf(exe, sizeof exe, "/proc/%d/exe", (int)child);
        return read(wait_fd, &byte, 1) == 0 ? 0 : -1; /* it closes when the child executes */
}

static int tear_down(void **state) {
        (void)state;
        (void)kill(child, SIGKILL);
        (void)waitpid(child, NULL, 0);
        (void)unlink(path);
        return 0;
}

static mode_t mode(void) {
        struct stat st;

        assert_int_equal(stat(exe, &st), 0);
        return st.st_mode & ALLPERMS;
}

static Tree *tree_of_child(void) {
        Tree *tree = model_new(Tree, tree__init);

        assert_non_null(tree);
        tree->root_pid = (uint32_t)child;
        return tree;
}

static void test_lent_and_returned(void **state) {
        Tree *tree = tree_of_child();

        assert_int_equal(exec_bits_find(tree), 0);
        assert_int_equal(exec_bits_lend(tree), 0);
        assert_int_equal(tree->n_exec_bits, 0);
        assert_int_equal(chmod(path, 0640), 0);
        assert_int_equal(exec_bits_find(tree), 0);
        assert_int_equal(exec_bits_lend(tree), 0);
        assert_int_equal(mode(), 0740);
        assert_int_equal(tree->n_exec_bits, 1);
        exec_bits_return(tree, child);
        assert_int_equal(mode(), 0640);
        model_free(tree);
}

/* Somebody else has changed it meanwhile, or it is another file. */
static void test_left_alone(void **state) {
        Tree *tree = tree_of_child();

        assert_int_equal(chmod(path, 0600), 0);
        assert_int_equal(exec_bits_find(tree), 0);
        assert_int_equal(exec_bits_lend(tree), 0);
        assert_int_equal(chmod(path, 0755), 0);
        exec_bits_return(tree, child);
        assert_int_equal(mode(), 0755);
        assert_int_equal(chmod(path, 0700), 0);
        tree->exec_bits[0]->inode++;
        exec_bits_return(tree, child);
        assert_int_equal(mode(), 0700);
        model_free(tree);
}

static void test_without_a_name(void **state) {
        Tree *tree = tree_of_child();

        assert_int_equal(chmod(path, 0600), 0);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(exec_bits_find(tree), 0);
        assert_int_equal(exec_bits_lend(tree), 0);
        assert_int_equal(mode(), 0700);
        assert_int_equal(tree->n_exec_bits, 0);
        model_free(tree);
}

static void return_files(const Tree *tree) {
        Sweep sweep = by_inode_sweep_begin();

        exec_bits_return_files(tree, &sweep);
        assert_int_equal(by_inode_sweep_end(&sweep), 0);
}

/* Its save died with it, or it cannot come back: nobody runs it any more. */
static void test_of_a_dead_tree(void **state) {
        Tree *tree = tree_of_child();
        _cleanup_(freep) char *other = NULL;
        struct stat st;

        assert_int_equal(chmod(path, 0640), 0);
        assert_int_equal(exec_bits_find(tree), 0);
        assert_int_equal(tree->n_exec_bits, 1);
        assert_string_equal(tree->exec_bits[0]->path, path);
        assert_int_equal(mode(), 0640); /* only noted */
        assert_int_equal(exec_bits_lend(tree), 0);
        (void)kill(child, SIGKILL);
        (void)waitpid(child, NULL, 0);
        exec_bits_return(tree, child);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & ALLPERMS, 0740);
        return_files(tree);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & ALLPERMS, 0640);

        /* another try, after somebody has put another file in its place */
        assert_true(asprintf(&other, "%s.link", path) > 0);
        assert_int_equal(rename(path, other), 0);
        copy_program_to(path, 0640);
        exec_bits_lend_files(tree);
        assert_int_equal(stat(other, &st), 0);
        assert_int_equal(st.st_mode & ALLPERMS, 0740);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & ALLPERMS, 0640);
        return_files(tree);
        assert_int_equal(stat(other, &st), 0);
        assert_int_equal(st.st_mode & ALLPERMS, 0640);
        assert_int_equal(unlink(other), 0);
        model_free(tree);
}

/* Found under its name however much lies beside it; under another one only within the bounds. */
static void test_bounds_of_a_sweep(void **state) {
        Tree *tree = tree_of_child();
        _cleanup_(freep) char *other = NULL;
        Sweep sweep = by_inode_sweep_begin();
        struct stat st;

        sweep.max_entries = 0;
        assert_int_equal(chmod(path, 0640), 0);
        assert_int_equal(exec_bits_find(tree), 0);
        assert_int_equal(chmod(path, 0740), 0);
        exec_bits_return_files(tree, &sweep);
        assert_int_equal(mode(), 0640);
        assert_int_equal(by_inode_sweep_end(&sweep), 0);

        assert_true(asprintf(&other, "%s.link", path) > 0);
        assert_int_equal(rename(path, other), 0);
        assert_int_equal(chmod(other, 0740), 0);
        exec_bits_return_files(tree, &sweep);
        assert_int_equal(stat(other, &st), 0);
        assert_int_equal(st.st_mode & ALLPERMS, 0740);
        assert_int_equal(by_inode_sweep_end(&sweep), -ETIMEDOUT);
        return_files(tree);
        assert_int_equal(stat(other, &st), 0);
        assert_int_equal(st.st_mode & ALLPERMS, 0640);
        assert_int_equal(unlink(other), 0);
        model_free(tree);
}

/* A file that lost it behind the note: whoever finds this save dead would not know of it. */
static void test_not_noted(void **state) {
        Tree *tree = tree_of_child();

        assert_int_equal(exec_bits_find(tree), 0);
        assert_int_equal(chmod(path, 0600), 0);
        assert_int_equal(exec_bits_lend(tree), -EAGAIN);
        assert_int_equal(mode(), 0600);
        model_free(tree);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_lent_and_returned, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_left_alone, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_without_a_name, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_of_a_dead_tree, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_bounds_of_a_sweep, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_not_noted, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
