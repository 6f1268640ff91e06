/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A save that died, put in order. Needs root: /run is replaced by a tmpfs in a mount namespace of the test's
 * own. */

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"
#include "flow/aftermath.h"
#include "flow/saving.h"
#include "proc/procfs.h"
#include "tests/unit/own-run.h"
#include "tests/unit/ticket.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Two children of a root, one of which makes new ones all the time; fd closes when the last is dead. */
static pid_t start_tree(int *ret_fd) {
        int fds[2];
        pid_t pid;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void)setpgid(0, 0);
                if (fork() > 0 && fork() == 0)
                        for (;;) {
                                if (fork() == 0) {
                                        usleep(2000);
                                        _exit(0);
                                }
                                while (waitpid(-1, NULL, WNOHANG) > 0)
                                        ;
                                usleep(500);
                        }
                for (;;)
                        pause();
        }
        (void)setpgid(pid, pid);
        close(fds[1]);
        *ret_fd = fds[0];
        return pid;
}

static bool is_over(int fd, int patience) {
        struct pollfd p = {.fd = fd, .events = POLLIN};

        return poll(&p, 1, patience) == 1 && (p.revents & POLLHUP);
}

static void add_tree(Ticket *t, const char *name, pid_t pid, uint64_t start) {
        sample_tree(t, name, (uint32_t)pid)->root_start = start;
}

/* A store on a file system of its own, which can be made read-only. */
static void fresh(Saving *s) {
        static int n;

        snprintf(s->config.store, sizeof s->config.store, "/run/store-%d", n++);
        assert_int_equal(mkdir(s->config.store, 0700), 0);
        assert_int_equal(mount("tmpfs", s->config.store, "tmpfs", 0, "mode=0700"), 0);
        assert_int_equal(store_open(&s->config, &s->store), 0);
        s->ticket = sample_ticket("aa");
}

static void read_only(const Saving *s) {
        assert_int_equal(mount(NULL, s->config.store, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
}

/* Sealed: one that has died, and one that CRIU let go. */
static pid_t half_alive(Saving *s, int *ret_fd) {
        pid_t pid = start_tree(ret_fd);
        uint64_t start;

        fresh(s);
        assert_int_equal(process_start_time(pid, &start), 0);
        add_tree(s->ticket, "dead", PID_MAX - 1, 1);
        add_tree(s->ticket, "living", pid, start);
        assert_int_equal(store_seal(&s->store, s->ticket, NULL), 0);
        return pid;
}

static void end(pid_t pid) {
        do
                (void)kill(-pid, SIGKILL);
        while (waitpid(-1, NULL, 0) >= 0);
}

/* What lives is in the ticket, and cannot leave it: the next boot would bring a second one. */
static void test_cannot_leave(void **state) {
        _cleanup_(saving_done) Saving s = SAVING_INIT;
        _cleanup_(ticket_freep) Ticket *sealed = NULL;
        _cleanup_(closep) int fd = -1;
        pid_t pid = half_alive(&s, &fd);

        read_only(&s);
        assert_int_equal(aftermath_settle(&s, SEAL_READ), AFTERMATH_SEALED);
        assert_true(is_over(fd, 10000));
        assert_int_equal(store_ticket(&s.store, &sealed), 0);
        assert_null(sealed->trees[1]->outcome);
        assert_null(s.ticket->trees[1]->outcome); /* it is in the ticket, and so in ours */
        end(pid);
}

/* Not even the number of trees can be known. */
static void test_cannot_be_read(void **state) {
        _cleanup_(saving_done) Saving s = SAVING_INIT;
        _cleanup_(closep) int fd = -1;
        pid_t pid = half_alive(&s, &fd);

        assert_int_equal(aftermath_settle(&s, SEAL_UNREADABLE), AFTERMATH_SEALED);
        assert_true(is_over(fd, 10000));
        end(pid);
}

static void test_leaves(void **state) {
        _cleanup_(saving_done) Saving s = SAVING_INIT;
        _cleanup_(ticket_freep) Ticket *sealed = NULL;
        _cleanup_(closep) int fd = -1;
        pid_t pid = half_alive(&s, &fd);

        assert_int_equal(aftermath_settle(&s, SEAL_READ), AFTERMATH_PARTLY);
        assert_false(is_over(fd, 0));
        assert_int_equal(store_ticket(&s.store, &sealed), 0);
        assert_null(sealed->trees[0]->outcome);
        assert_int_equal(sealed->trees[1]->outcome->state, OUTCOME__STATE__LEFT);
        end(pid);
}

/* Its number, and not itself. */
static void test_another_is_left_alone(void **state) {
        _cleanup_(saving_done) Saving s = SAVING_INIT;
        _cleanup_(closep) int fd = -1;
        pid_t pid = half_alive(&s, &fd);

        s.ticket->trees[1]->root_start++;
        read_only(&s);
        assert_int_equal(aftermath_settle(&s, SEAL_READ), AFTERMATH_SEALED);
        assert_false(is_over(fd, 0));
        end(pid);
}

/* Encrypted: what the save had made beside a file of the tree stands in no image. */
static void test_links_of_another_boot(void **state) {
        _cleanup_(saving_done) Saving s = SAVING_INIT;
        LostName *lost = model_new(LostName, lost_name__init);
        Traces *traces = model_new(Traces, traces__init);
        struct stat st;

        fresh(&s);
        add_tree(s.ticket, "dead", PID_MAX - 1, 1);
        assert_int_equal(mknod("/run/other-name", S_IFREG | 0600, 0), 0);
        assert_int_equal(link("/run/other-name", "/run/link_remap.7"), 0);
        assert_int_equal(stat("/run/other-name", &st), 0);
        assert_true(lost && traces);
        lost->inode = st.st_ino;
        assert_int_equal(model_set_string(&lost->path, "/run/lost"), 0);
        assert_int_equal(model_append(traces->lost, traces->n_lost, lost), 0);
        s.ticket->trees[0]->traces = traces;
        assert_int_equal(store_saving_begin(&s.store, s.ticket), 0);
        aftermath_of_boot(&s.store);
        assert_int_equal(access("/run/link_remap.7", F_OK), -1);
        assert_int_equal(access("/run/other-name", F_OK), 0);
}

/* The machine went down before the seal: what was lent for the save is given back by the next boot. */
static void test_exec_bit_of_another_boot(void **state) {
        _cleanup_(saving_done) Saving s = SAVING_INIT;
        ExecBit *bit = model_new(ExecBit, exec_bit__init);
        struct stat st;

        fresh(&s);
        add_tree(s.ticket, "dead", PID_MAX - 1, 1);
        assert_int_equal(mknod("/run/lent", S_IFREG | 0600, 0), 0);
        assert_int_equal(chmod("/run/lent", 0740), 0);
        assert_int_equal(stat("/run/lent", &st), 0);
        assert_non_null(bit);
        bit->inode = st.st_ino;
        bit->mode = 0640;
        assert_int_equal(model_set_string(&bit->path, "/run/lent"), 0);
        assert_int_equal(model_append(s.ticket->trees[0]->exec_bits, s.ticket->trees[0]->n_exec_bits, bit),
                         0);
        assert_int_equal(store_saving_begin(&s.store, s.ticket), 0);
        aftermath_of_boot(&s.store);
        assert_int_equal(stat("/run/lent", &st), 0);
        assert_int_equal(st.st_mode & ALLPERMS, 0640);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_cannot_leave),
                        cmocka_unit_test(test_cannot_be_read),
                        cmocka_unit_test(test_leaves),
                        cmocka_unit_test(test_another_is_left_alone),
                        cmocka_unit_test(test_exec_bit_of_another_boot),
                        cmocka_unit_test(test_links_of_another_boot),
        };

        int r = own_run();

        if (r == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
                return 1;
        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}
