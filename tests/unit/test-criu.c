/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What can be tested of CRIU's door without CRIU: its log, and programs that are no CRIU. The rest is in
 * tests/native. */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "criu/criu.h"
#include "proc/procfs.h"
#include "systemd/cgroup.h"
#include "tests/unit/init.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char path[32];

static int make_dir(void **state) {
        strcpy(path, "/tmp/carryover-test-XXXXXX");
        return mkdtemp(path) ? 0 : -1;
}

static int remove_dir(void **state) {
        return file_remove_tree(AT_FDCWD, path);
}

static int log_dir(const char *text) {
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(file_replace(fd, "dump.log", text, strlen(text)), 0);
        return fd;
}

static void log_says(const char *text, const char *expected) {
        _cleanup_(closep) int fd = log_dir(text);
        _cleanup_(freep) char *found = NULL;

        assert_int_equal(criu_log_error(fd, "dump.log", &found), 0);
        assert_string_equal(found, expected);
}

static void test_log(void **state) {
        log_says("", "");
        log_says("(00.000012) all is well\n", "");
        log_says("(00.1) x\n(00.2)    17: Error (criu/a.c:1): first one\n(00.3) Error (criu/b.c:2): "
                 "second\n",
                 "first one");
        log_says("(00.1) Error (criu/util.c:642): exited, status=3\n(00.2) Error (criu/a.c:1): real\n",
                 "real");
        log_says("(00.1) Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE for self: x\n", "");
        log_says("Error (criu/a.c:1): no newline and a \x1b[1mcolour", "no newline and a  [1mcolour");
        log_says("Error (cut off", "");
}

static void test_log_missing(void **state) {
        _cleanup_(closep) int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char *found = (char *)1;

        assert_int_equal(criu_log_error(fd, "no-such.log", &found), -ENOENT);
        assert_ptr_equal(found, (char *)1);
}

static void test_not_criu(void **state) {
        CriuFeatures features;

        assert_int_equal(criu_probe("no-such-criu", CRIU_PROBE_USEC, &features), -ENOENT);
        assert_non_null(strstr(err_text(-ENOENT), "install package criu"));
        assert_int_equal(criu_probe("/no/such/criu", CRIU_PROBE_USEC, &features), -ENOENT);
        assert_int_equal(criu_probe("true", CRIU_PROBE_USEC, &features), -EIO);
        assert_int_equal(criu_check("true", CRIU_PROBE_USEC), -EOPNOTSUPP);
}

/* The first question is answered by an exit, late; the second never. Both together have the time of one. */
static void test_hangs(void **state) {
        static const char script[] =
                        "#!/bin/sh\ncase \"$*\" in *network-lock*) sleep 2; exit 1;; esac\nexec sleep 60\n";
        char program[] = "/tmp/test-criu-XXXXXX";
        int fd = mkostemp(program, O_CLOEXEC);
        uint64_t begun = now_monotonic(), took;
        CriuFeatures features;

        assert_true(fd >= 0 && fchmod(fd, 0700) == 0);
        assert_int_equal(fd_write_all(fd, script, strlen(script)), 0);
        (void)fd_close(fd);
        assert_int_equal(criu_probe(program, 4 * USEC_PER_SEC, &features), -ETIMEDOUT);
        took = now_monotonic() - begun;
        assert_true(took >= 4 * USEC_PER_SEC && took < 6 * USEC_PER_SEC);
        assert_int_equal(unlink(program), 0);
}

static void test_not_criu_job(void **state) {
        _cleanup_(closep) int fd = log_dir("(00.1) Error (criu/a.c:1): of an earlier time\n");
        CriuJob job = {.criu = "true",
                       .images_fd = fd,
                       .pid = getpid(),
                       .preload = "/no/such/library",
                       .cgroup_procs_fd = -1,
                       .timeout_usec = 10000000};
        CriuFd below = {.key = "x", .fd = 0};
        pid_t pid;

        assert_int_equal(criu_restore(&job, &pid), -ENOENT);
        assert_int_equal(criu_dump(&job), -ENOENT);
        assert_non_null(strstr(err_text(-ENOENT), "CRIU is not safe without /no/such/library"));
        job.preload = "/dev/null";
        assert_int_equal(criu_dump(&job), -EIO);
        assert_non_null(strstr(err_text(-EIO), "it exited with 0"));
        assert_int_equal(faccessat(fd, "dump.log", F_OK, 0), -1);
        assert_int_equal(faccessat(fd, "dump.log.1", F_OK, 0), 0);
        job.cgroup_procs_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
        assert_int_equal(criu_restore(&job, &pid), -EIO);
        assert_non_null(strstr(err_text(-EIO), "cgroup"));
        assert_int_equal(close(job.cgroup_procs_fd), 0);
        job.fds = &below;
        job.n_fds = 1;
        assert_int_equal(criu_restore(&job, &pid), -EINVAL);
}

/* In the namespaces of the tree, and with the socket that it made there: nobody answers by it. */
static void test_inside(void **state) {
        _cleanup_(closep) int fd = log_dir("");
        _cleanup_(freep) char *text = NULL;
        char program[64];
        pid_t left;
        CriuJob job = {.criu = program,
                       .images_fd = fd,
                       .own_pid = 2,
                       .preload = "/dev/null",
                       .cgroup_procs_fd = -1,
                       .timeout_usec = 10000000};
        static const char script[] = "#!/bin/sh\n"
                                     "read -r comm </proc/1/comm && echo init: $comm && "
                                     "[ -S /proc/self/fd/$4 ] && exit 7\n";

        need_root(state);
        snprintf(program, sizeof program, "%s/criu", path);
        assert_int_equal(file_replace(fd, "criu", script, strlen(script)), 0);
        assert_int_equal(fchmodat(fd, "criu", 0700, 0), 0);
        job.init = start_init("carryover-init");
        job.pid = child_of(job.init);
        assert_int_equal(criu_dump(&job), -EIO);
        assert_non_null(strstr(err_text(-EIO), "it exited with 7"));
        assert_int_equal(file_slurp(fd, "criu.out", 10000, &text, NULL), 0);
        assert_non_null(strstr(text, "init: carryover-init\n"));
        job.own_pid = 3;
        assert_int_equal(criu_dump(&job), -ESRCH);
        job.init = getpid();
        assert_int_equal(criu_dump(&job), -ESRCH);
        left = fork(); /* this thread's children are here again */
        assert_true(left >= 0);
        if (left == 0)
                for (;;)
                        pause();
        assert_int_equal(process_own_number(left), left);
        assert_int_equal(kill(left, SIGKILL), 0);
        assert_int_equal(waitpid(left, NULL, 0), left);
}

/* Who is still there of a failed try is read by the descriptor that CRIU's processes write themselves
 * into. */
static void test_left_processes(void **state) {
        _cleanup_(closep) int dir = log_dir("12\n0\n77\n"), fd = -1;
        _cleanup_(freep) pid_t *pids = NULL;
        size_t n;

        fd = openat(dir, "dump.log", O_WRONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(cgroup_procs_pids(fd, &pids, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(pids[0], 12);
        assert_int_equal(pids[1], 77);
}

static void test_fits_kernel(void **state) {
        const CriuFeatures debian12 = {.major = 3, .minor = 17, .sub = 1},
                           debian13 = {.major = 4, .minor = 1, .sub = 1},
                           forky = {.major = 4, .minor = 2, .sub = 1};
        const struct {
                const CriuFeatures *criu;
                const char *running, *target, *needs; /* NULL: it fits */
        } cases[] = {
                        {&debian12, "6.1.0-40-amd64", "6.1.0-41-amd64", NULL},
                        {&debian12, "6.1.0-40-amd64", "6.12.48+deb13-amd64", NULL},
                        {&debian12, "6.1.0-40-amd64", "6.13-amd64", "criu 4.1.0 or later"},
                        {&debian12, "6.1.0-40-amd64", "6.17.8+deb14-amd64", "criu 4.2.0 or later"},
                        {&debian13, "6.12.48+deb13-amd64", "6.15.9", NULL},
                        {&debian13, "6.12.48+deb13-amd64", "6.16~rc1", NULL},
                        {&debian13, "6.12.48+deb13-amd64", "6.16-rc1", "criu 4.2.0 or later"},
                        {&debian13, "6.12.48+deb13-amd64", "7.2.1-amd64", "criu 4.2.1 or later"},
                        {&debian13, "6.17.1-amd64", "6.18.2-amd64", NULL}, /* the running kernel shows it */
                        {&debian13, "6.17.1-amd64", "7.10.0-amd64", "criu 4.2.1 or later"},
                        {&forky, "6.12.48+deb13-amd64", "7.2.1-amd64", NULL},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                int r = criu_fits_kernel(cases[i].criu, cases[i].running, cases[i].target);

                assert_int_equal(r, cases[i].needs ? -EOPNOTSUPP : 0);
                if (cases[i].needs) {
                        assert_non_null(strstr(err_text(r), cases[i].needs));
                        assert_non_null(strstr(err_text(r), cases[i].target));
                }
        }
}

/* Each by its own release: that a CRIU has one of them says nothing of another. */
static void test_features(void **state) {
        static const struct {
                const char *name;
                size_t at;
                unsigned since;
        } known[] = {
#define SINCE(name, release) {#name, offsetof(CriuSaves, name), release}
                        SINCE(stops, 31800),        SINCE(rseq, 31800),    SINCE(barriers, 31900),
                        SINCE(no_new_privs, 31900), SINCE(memfds, 31900),  SINCE(offsets, 31900),
                        SINCE(thp, 31900),          SINCE(resets, 40000),  SINCE(tcp_options, 40000),
                        SINCE(as_it_was, 40000),    SINCE(ambient, 40100), SINCE(pidfds, 40100),
                        SINCE(one_shots, 40100),    SINCE(wipes, 40200),
        };
        static const unsigned releases[] = {29909, 31701, 31800, 31900, 40000,
                                            40009, 40100, 40101, 40201, 50000};

        (void)state;
        assert_int_equal(ELEMENTS(known), sizeof(CriuSaves)); /* of bool: each is asked */
        for (size_t i = 0; i < ELEMENTS(releases) * ELEMENTS(known); i++) {
                unsigned release = releases[i / ELEMENTS(known)];
                size_t k = i % ELEMENTS(known);
                CriuFeatures f = {.lock_skip = true, /* says nothing either */
                                  .major = release / 10000,
                                  .minor = release / 100 % 100,
                                  .sub = release % 100};

                criu_features_derive(&f);
                if (*((const bool *)&f.saves + known[k].at) != (release >= known[k].since))
                        fail_msg("%s of %u", known[k].name, release);
        }
}

/* Of images in memory: the logs alone get to the disk, behind those of before. */
static void test_kept_logs(void **state) {
        _cleanup_(closep) int from = log_dir("second"), to = -1;
        _cleanup_(freep) char *text = NULL;

        assert_int_equal(mkdirat(from, "home", 0700), 0);
        to = openat(from, "home", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(file_replace(to, "dump.log", "first ", 6), 0);
        assert_int_equal(file_replace(from, "restore.log.1", "x", 1), 0);
        assert_int_equal(file_replace(from, "pages-1.img", "secret", 6), 0);
        assert_int_equal(criu_keep_logs(from, to), 0);
        assert_int_equal(file_slurp(to, "dump.log", 100, &text, NULL), 0);
        assert_string_equal(text, "first second");
        assert_int_equal(faccessat(to, "restore.log.1", F_OK, 0), 0);
        assert_int_equal(faccessat(to, "pages-1.img", F_OK, 0), -1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_log),
                        cmocka_unit_test(test_log_missing),
                        cmocka_unit_test(test_not_criu),
                        cmocka_unit_test(test_hangs),
                        cmocka_unit_test(test_not_criu_job),
                        cmocka_unit_test(test_fits_kernel),
                        cmocka_unit_test(test_features),
                        cmocka_unit_test(test_left_processes),
                        cmocka_unit_test_teardown(test_inside, kill_inits),
                        cmocka_unit_test(test_kept_logs),
        };

        return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
