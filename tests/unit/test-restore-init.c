/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * carryover-init as PID 1 of a real PID namespace: it becomes one, restores in it, gives the tree what CRIU
 * does not, lives as long as something of the tree does, and leaves nothing when it fails. CRIU is this
 * file's. Needs root.
 */

#include "base/cleanup.h"
#include "tests/unit/own-run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

/* This very program takes the place of carryover-init: see main(). */
static int exec_init(char *const *argv) {
        return execv("/proc/self/exe", argv);
}

#define execv(path, argv) exec_init(argv)
#include "../../src/restore/namespace.c"
#undef execv

#include "rights/rights.h"

#include <linux/ioprio.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define PROCS "/run/cgroup.procs"

/* What lives in the namespace until the first inherited descriptor has an end. It is process 2 there, and
 * has nothing open of those who made it. */
static pid_t child_of_init(void) {
        int closed[2];
        pid_t pid;
        char c;

        if (pipe2(closed, O_CLOEXEC) < 0 || (pid = fork()) < 0)
                return -1;
        if (pid > 0) {
                (void)fd_close(closed[1]);
                (void)!read(closed[0], &c, 1); /* the child has closed it */
                (void)fd_close(closed[0]);
                return pid;
        }
        (void)close_range(INIT_FD_JOB, INIT_FD_PROCS, 0);
        (void)close_range(INIT_FD_INHERIT + 2, ~0u, 0);
        while (read(INIT_FD_INHERIT, &c, 1) > 0)
                ;
        _exit(0);
}

static int own_name(const char *expected) {
        _cleanup_(freep) char *name = NULL;

        return file_slurp(AT_FDCWD, "/proc/self/comm", 64, &name, NULL) >= 0 && strcmp(name, expected) == 0;
}

/* Says when it is there, waits for the end of who asked, and says whether the tree would have run. */
static int orphan(const CriuJob *job, pid_t pid) {
        struct pollfd p = {.fd = INIT_FD_ANSWER};
        int r;

        (void)!write(INIT_FD_INHERIT + 1, "m", 1);
        if (poll(&p, 1, 10000) != 1)
                _exit(3);
        r = job->notify("pre-resume", pid, job->userdata);
        (void)!write(INIT_FD_INHERIT + 1, r < 0 ? "n" : "y", 1);
        return r;
}

/* In the namespace; which test asks is told by CRIU's name. */
int criu_restore(const CriuJob *job, pid_t *ret_pid) {
        char self[16] = "";
        pid_t pid;

        if (strcmp(job->criu, "dies") == 0)
                _exit(3);
        if (getpid() != 1 || getsid(0) != 1 || !own_name("carryover-init\n"))
                return err_say(-EPROTO, "it is not PID 1 of its own session, carryover-init");
        if (readlink("/proc/self", self, sizeof self - 1) < 0 || strcmp(self, "1") != 0)
                return err_say(-EPROTO, "/proc is another namespace's: %s", self);
        if (job->n_fds != 2 || strcmp(job->fds[0].key, "tty[1]") != 0 || job->fds[0].fd != INIT_FD_INHERIT ||
            job->fds[1].fd != INIT_FD_INHERIT + 1 || fcntl(job->fds[1].fd, F_GETFD) < 0)
                return err_say(-EPROTO, "the inherited descriptors are other ones");
        if (faccessat(job->images_fd, "an-image", F_OK, 0) < 0 || !job->shell_job || job->lock_skip ||
            !job->tcp_close || job->timeout_usec != 7 * USEC_PER_SEC || job->cgroup_procs_fd != -1)
                return err_say(-EPROTO, "the job is another one");
        pid = child_of_init();
        if (pid != 2)
                return err_say(-EPROTO, "its first process is number %d", (int)pid);
        if (strcmp(job->criu, "fails") == 0)
                return err_say(-EEXIST, "a number is taken");
        *ret_pid = pid;
        if (strcmp(job->criu, "orphan") == 0)
                return orphan(job, pid);
        return job->notify("pre-resume", pid, job->userdata);
}

typedef struct Side {
        CriuJob job;
        Tree *tree;
        CriuFd fds[2];
        int end;  /* closed: the tree ends */
        int live; /* its end: nobody of the tree has it any more */
} Side;

static int first_cpu(void) {
        cpu_set_t all;

        assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
        for (int i = 0; i < CPU_SETSIZE; i++)
                if (CPU_ISSET(i, &all))
                        return i;
        return -1;
}

static Tree *tree_of_one(void) {
        Tree *tree = model_new(Tree, tree__init);
        Process *p = model_new(Process, process__init);
        cpu_set_t one;

        assert_true(tree && p);
        CPU_ZERO(&one);
        CPU_SET(first_cpu(), &one);
        p->pid = 2;
        p->has_affinity = p->has_ioprio = true;
        p->ioprio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6);
        assert_int_equal(model_set_bytes(&p->affinity, &one, sizeof one), 0);
        assert_int_equal(model_append(tree->processes, tree->n_processes, p), 0);
        tree->root_pid = (uint32_t)getpid(); /* its rights are ours */
        assert_int_equal(rights_note(tree), 0);
        assert_int_equal(tree->n_rights, 1);
        tree->rights[0]->tids[0] = 2;
        return tree;
}

static Side side_new(const char *criu) {
        int end[2], live[2], run = open("/run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        Side s = {.tree = tree_of_one()};

        assert_int_equal(pipe2(end, O_CLOEXEC) | pipe2(live, O_CLOEXEC), 0);
        assert_int_equal(file_replace(run, "an-image", "", 0), 0);
        s.end = end[1];
        s.live = live[0];
        s.fds[0] = (CriuFd){.key = "tty[1]", .fd = end[0]};
        s.fds[1] = (CriuFd){.key = "pipe[2]", .fd = live[1]};
        s.job = (CriuJob){.criu = criu,
                          .images_fd = run,
                          .shell_job = true,
                          .tcp_close = true,
                          .n_fds = 2,
                          .timeout_usec = 7 * USEC_PER_SEC,
                          .cgroup_procs_fd = open(PROCS, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
        assert_true(run >= 0 && s.job.cgroup_procs_fd >= 0);
        return s;
}

/* Runs it, and lets go of what the other side has. */
static int restore(Side *s, pid_t *ret) {
        int r;

        s->job.fds = s->fds;
        r = namespace_restore(&s->job, s->tree, ret);
        (void)fd_close(s->fds[0].fd);
        (void)fd_close(s->fds[1].fd);
        (void)fd_close(s->job.images_fd);
        (void)fd_close(s->job.cgroup_procs_fd);
        return r;
}

/* Whether nobody of the tree lives: at once, or when the last one has ended. */
static bool is_over(const Side *s, int timeout_ms) {
        struct pollfd p = {.fd = s->live, .events = POLLIN};

        return poll(&p, 1, timeout_ms) == 1 && (p.revents & POLLHUP);
}

static void side_done(Side *s) {
        (void)fd_close(s->end);
        (void)fd_close(s->live);
        model_free(s->tree);
}

/* The host's number of the only child. */
static pid_t child_on_host(pid_t init) {
        _cleanup_(freep) char *text = NULL;
        char path[64];
        long pid;

        snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)init, (int)init);
        assert_int_equal(file_slurp(AT_FDCWD, path, 64, &text, NULL), 0);
        pid = strtol(text, NULL, 10);
        assert_true(pid > 1);
        return (pid_t)pid;
}

static void test_lives(void **state) {
        Side s = side_new("lives");
        _cleanup_(closep) int pidfd = -1;
        _cleanup_(freep) char *joined = NULL;
        struct pollfd p = {.events = POLLIN};
        cpu_set_t has;
        pid_t init = 0, child;

        (void)state;
        if (restore(&s, &init) < 0)
                fail_msg("%s", err_text(-EPERM));
        assert_true(init > 1);
        p.fd = pidfd = pidfd_open(init, 0);
        assert_true(pidfd >= 0);
        child = child_on_host(init);
        assert_int_equal(file_slurp(AT_FDCWD, PROCS, 16, &joined, NULL), 0);
        assert_string_equal(joined, "0"); /* before anything is born */
        assert_int_equal(sched_getaffinity(child, sizeof has, &has), 0);
        assert_int_equal(CPU_COUNT(&has), 1);
        assert_true(CPU_ISSET(first_cpu(), &has));
        assert_int_equal(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, child),
                         IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6));
        assert_int_equal(poll(&p, 1, 0), 0);
        assert_false(is_over(&s, 0));
        s.end = fd_close(s.end); /* the last one ends, and init with it */
        assert_int_equal(poll(&p, 1, 10000), 1);
        assert_true(is_over(&s, 10000));
        side_done(&s);
}

/* What CRIU had made has ended when the sentence is there. */
static void test_fails(void **state) {
        Side s = side_new("fails");
        pid_t init;

        (void)state;
        assert_int_equal(restore(&s, &init), -EEXIST);
        assert_string_equal(err_text(-EEXIST), "a number is taken");
        assert_true(is_over(&s, 0));
        side_done(&s);
}

static void test_dies(void **state) {
        Side s = side_new("dies");
        pid_t init;

        (void)state;
        assert_int_equal(restore(&s, &init), -EIO);
        assert_string_equal(err_text(-EIO), "carryover-init exited without an answer");
        assert_true(is_over(&s, 0));
        side_done(&s);
}

/* A right that it had not: nothing of it runs. */
static void test_rights(void **state) {
        Side s = side_new("lives");
        pid_t init;

        (void)state;
        assert_int_equal(model_set_string(&s.tree->rights[0]->text, "Uid:\t1\t1\t1\t1\n"), 0);
        assert_int_equal(restore(&s, &init), -EPERM);
        assert_non_null(strstr(err_text(-EPERM), "process 2 would have more privileges than before: Uid:"));
        assert_true(is_over(&s, 0));
        side_done(&s);
}

static char read_live(const Side *s) {
        char c = 0;

        return read(s->live, &c, 1) == 1 ? c : 0;
}

/* The restore is killed in the middle: it is reported as lost, so it does not run. */
static void test_orphan(void **state) {
        Side s = side_new("orphan");
        pid_t init, pid = fork();

        (void)state;
        assert_true(pid >= 0);
        if (pid == 0)
                _exit(restore(&s, &init) < 0);
        (void)fd_close(s.fds[1].fd);
        assert_int_equal(read_live(&s), 'm');
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(read_live(&s), 'n');
        assert_true(is_over(&s, 10000));
        side_done(&s);
}

/* Outside of its scope a tree would have no limits, and nobody would find it. */
static void test_no_scope(void **state) {
        Side s = side_new("lives");
        pid_t init;

        (void)state;
        (void)fd_close(s.job.cgroup_procs_fd);
        s.job.cgroup_procs_fd = open(PROCS, O_RDONLY | O_CLOEXEC);
        assert_int_equal(restore(&s, &init), -EBADF);
        assert_non_null(strstr(err_text(-EBADF), "cannot join the scope of the tree"));
        assert_true(is_over(&s, 0));
        side_done(&s);
}

/* Descriptors 3 and on as given; *ret: its first two answers, NULL where there is none. */
static int run_with(const char *job, InitAnswer *ret[static 2]) {
        int fds[4], answers[2], status;
        pid_t pid;

        assert_int_equal(pipe2(answers, O_CLOEXEC), 0);
        fds[0] = job ? memfd_with("job", job, strlen(job)) : -1;
        fds[1] = answers[1];
        fds[2] = open("/run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fds[3] = open(PROCS, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                child_exec(fds, job ? 4 : 0);
        for (size_t i = 0; i < 4; i++)
                (void)fd_close(fds[i]);
        for (size_t i = 0; i < 2; i++) {
                ret[i] = NULL;
                (void)init_answer_read(answers[0], ret + i);
        }
        (void)fd_close(answers[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_bad_job(void **state) {
        InitAnswer *answers[2];
        bool said = false;

        (void)state;
        assert_int_equal(run_with("\x01\x02", answers), 0); /* it has started the init */
        for (size_t i = 0; i < 2; i++) {
                assert_non_null(answers[i]);
                said |= answers[i]->error && answers[i]->code == -EBADMSG &&
                        strcmp(answers[i]->error, "the job cannot be decoded") == 0;
                model_free(answers[i]);
        }
        assert_true(said);
}

/* Started by hand. */
static void test_no_descriptors(void **state) {
        InitAnswer *answers[2];

        (void)state;
        assert_int_equal(run_with(NULL, answers), 1);
        assert_null(answers[0]);
        assert_null(answers[1]);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_lives),          cmocka_unit_test(test_fails),
                        cmocka_unit_test(test_dies),           cmocka_unit_test(test_rights),
                        cmocka_unit_test(test_no_scope),       cmocka_unit_test(test_bad_job),
                        cmocka_unit_test(test_no_descriptors), cmocka_unit_test(test_orphan),
        };
        int r;

        if (argc == 1 && strcmp(argv[0], "carryover-init") == 0)
                return init_run();
#ifdef __SANITIZE_ADDRESS__
        printf("skipped: the address sanitizer's runtime does not start as PID 1 of a namespace\n");
        return 77;
#endif
        r = own_run();
        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}
