/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a child may do is noted, then the child changes, as if it had come back so. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "model/model.h"
#include "rights/rights.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define JOE 1000

#define OF_ITSELF 99 /* the child's descriptor of its own file in proc */

typedef struct World {
        char file[64], own[64]; /* root's, joe's */
        pid_t child;
        int to, from;
        Tree tree;
} World;

static struct sock_filter allow[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
static const struct sock_fprog allow_all = {1, allow};

/* One letter is one change, and is answered. */
static _Noreturn void child_run(const World *w, int from, int to) {
        char what;

        while (read(from, &what, 1) == 1) {
                int r = 0;

                switch (what) {
                case 'r':
                        r = open(w->file, O_RDONLY);
                        break;
                case 'w':
                        r = open(w->file, O_RDWR);
                        break;
                case 'o':
                        r = open(w->own, O_RDWR);
                        break;
                case 'd':
                        r = open("/", O_RDONLY | O_DIRECTORY);
                        break;
                case 'm':
                        r = dup2(open("/proc/self/maps", O_RDONLY), OF_ITSELF);
                        break;
                case 'n':
                        r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                        break;
                case 'f':
                        r = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &allow_all);
                        break;
                case 'h':
                        r = prctl(PR_SET_DUMPABLE, 0);
                        break;
                case 's':
                        r = prctl(PR_SET_DUMPABLE, 1);
                        break;
                case 'j':
                        r = setgid(JOE) < 0 ? -1 : setuid(JOE);
                        break;
                }
                if (r < 0 || write(to, &what, 1) != 1)
                        _exit(1);
        }
        _exit(0);
}

static void change(World *w, char what) {
        char answer;

        assert_int_equal(write(w->to, &what, 1), 1);
        assert_int_equal(read(w->from, &answer, 1), 1);
}

static void make(char *path, uid_t uid) {
        int fd;

        strcpy(path, "/var/tmp/carryover-test-XXXXXX"); /* in /tmp files are known by their names */
        fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(fchown(fd, uid, uid), 0);
        fd_close(fd);
}

static int setup(void **state) {
        World *w = calloc(1, sizeof *w);
        int to[2], from[2];

        *state = NULL;
        if (geteuid() != 0) {
                free(w);
                return 0;
        }
        make(w->file, 0);
        make(w->own, JOE);
        assert_int_equal(pipe2(to, O_CLOEXEC), 0);
        assert_int_equal(pipe2(from, O_CLOEXEC), 0);
        w->child = fork();
        if (w->child == 0) {
                fd_close(to[1]);
                fd_close(from[0]);
                child_run(w, to[0], from[1]);
        }
        fd_close(to[0]);
        fd_close(from[1]);
        w->to = to[1];
        w->from = from[0];
        tree__init(&w->tree);
        w->tree.root_pid = (uint32_t)w->child;
        *state = w;
        return 0;
}

static int teardown(void **state) {
        World *w = *state;
        Tree *copy;

        if (!w)
                return 0;
        fd_close(w->to);
        fd_close(w->from);
        assert_int_equal(waitpid(w->child, NULL, 0), w->child);
        assert_int_equal(unlink(w->file), 0);
        assert_int_equal(unlink(w->own), 0);
        copy = malloc(sizeof *copy);
        *copy = w->tree;
        copy->name = copy->target = copy->comm = NULL;
        model_free(copy);
        free(w);
        return 0;
}

static World *world(void **state) {
        if (!*state)
                skip();
        return *state;
}

static void expect(World *w, const char *refusal) {
        int r = rights_check(&w->tree, w->child);

        if (!refusal) {
                if (r != 0)
                        fail_msg("refused: %s", err_text(r));
                return;
        }
        assert_int_equal(r, -EPERM);
        if (!strstr(err_text(r), refusal))
                fail_msg("'%s' does not say '%s'", err_text(r), refusal);
}

static void test_files(void **state) {
        World *w = world(state);

        change(w, 'j');
        change(w, 'o');
        assert_int_equal(rights_note(&w->tree), 0);
        assert_int_equal(w->tree.n_rights, 1);
        assert_true(w->tree.n_foreign > 1); /* libraries */
        expect(w, NULL);
        change(w, 'o');
        change(w, 'd');
        expect(w, NULL);
}

static void test_other_file(void **state) {
        World *w = world(state);

        assert_int_equal(rights_note(&w->tree), 0);
        change(w, 'r');
        expect(w, "which is not the file it had open");
}

static void test_more_access(void **state) {
        World *w = world(state);

        change(w, 'r');
        assert_int_equal(rights_note(&w->tree), 0);
        change(w, 'r');
        expect(w, NULL);
        change(w, 'w');
        expect(w, w->file);
}

/* Replaced since: it is another file, and no secret. */
static void test_public(void **state) {
        World *w = world(state);

        assert_int_equal(rights_note(&w->tree), 0);
        assert_int_equal(chmod(w->file, 0644), 0);
        change(w, 'r');
        expect(w, NULL);
        assert_int_equal(chmod(w->file, 0640), 0);
        expect(w, "which is not the file it had open");
}

/* Everybody may read it, but not everybody gets there. */
static void test_public_in_private(void **state) {
        char directory[] = "/var/tmp/carryover-test-XXXXXX", hidden[64];
        World *w = world(state);

        assert_non_null(mkdtemp(directory));
        snprintf(hidden, sizeof hidden, "%s/file", directory);
        assert_int_equal(rights_note(&w->tree), 0);
        assert_int_equal(chmod(w->file, 0644), 0);
        change(w, 'r');
        assert_int_equal(rename(w->file, hidden), 0);
        expect(w, "which is not the file it had open");
        assert_int_equal(chmod(directory, 0755), 0);
        expect(w, NULL);
        assert_int_equal(rename(hidden, w->file), 0);
        assert_int_equal(rmdir(directory), 0);
}

static void test_public_for_writing(void **state) {
        World *w = world(state);

        assert_int_equal(rights_note(&w->tree), 0);
        assert_int_equal(chmod(w->file, 0644), 0);
        change(w, 'w');
        expect(w, "which is not the file it had open");
}

/* It had another name when the tree was saved, by which it was found. */
static void test_last_name(void **state) {
        World *w = world(state);

        change(w, 'r');
        assert_int_equal(rights_note(&w->tree), 0);
        assert_int_equal(unlink(w->file), 0);
        expect(w, NULL);
        make(w->file, 0);
}

/* CRIU opens it before the process is its user's again. */
static void test_of_itself(void **state) {
        World *w = world(state);
        struct stat st;
        char link[32];

        snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)w->child, OF_ITSELF);
        change(w, 'j');
        change(w, 's');
        change(w, 'm');
        assert_int_equal(stat(link, &st), 0);
        assert_int_equal(st.st_uid, JOE);
        assert_int_equal(rights_note(&w->tree), 0);
        change(w, 'h');
        change(w, 'm');
        assert_int_equal(stat(link, &st), 0);
        assert_int_equal(st.st_uid, 0);
        change(w, 's');
        expect(w, NULL);
}

static void test_rights(void **state) {
        World *w = world(state);

        assert_int_equal(rights_note(&w->tree), 0);
        change(w, 'n');
        expect(w, NULL);
        change(w, 'j');
        expect(w, "would have more privileges than before: Uid:");
}

/* The second filter may be the one that forbids something. */
static void test_filters(void **state) {
        World *w = world(state);

        change(w, 'f');
        assert_int_equal(rights_note(&w->tree), 0);
        assert_non_null(strstr(w->tree.rights[0]->text, "Seccomp_filters: "));
        expect(w, NULL);
        change(w, 'f');
        expect(w, NULL);
}

/* As an ssh-agent is, whose keys no other program of its user can read. */
static void test_dumpable(void **state) {
        World *w = world(state);

        change(w, 'j');
        change(w, 'h');
        assert_int_equal(rights_note(&w->tree), 0);
        assert_non_null(strstr(w->tree.rights[0]->text, "Dumpable: no"));
        expect(w, NULL);
        change(w, 's');
        expect(w, "would have more privileges than before: Dumpable: yes, not no");
}

static void test_dumpable_less(void **state) {
        World *w = world(state);

        change(w, 'j');
        change(w, 's');
        assert_int_equal(rights_note(&w->tree), 0);
        assert_non_null(strstr(w->tree.rights[0]->text, "Dumpable: yes"));
        change(w, 'h');
        expect(w, NULL);
}

static void test_unknown(void **state) {
        World *w = world(state);

        expect(w, "did not exist when the tree was saved");
}

static void test_compare(void **state) {
        static const char had[] =
                        "Uid: 1 1 1 1\nGroups: 4 24\nCapEff: 6\nCapAmb: 0\nNoNewPrivs: 1\nSeccomp: 2\n"
                        "Label: web (enforce)\n";
        static const struct {
                const char *has, *refusal;
        } rows[] = {
                        {had, NULL},
                        {"Uid: 1 1 1 1\nGroups: 4 24\nCapEff: 2\nNoNewPrivs: 1\nSeccomp: 2\nLabel: web "
                         "(enforce)\n",
                         NULL},
                        {"Uid: 1 0 1 1\nGroups: 4 24\nNoNewPrivs: 1\nSeccomp: 2\nLabel: web (enforce)\n",
                         "Uid: 1 0 1 1, not 1 1 1 1"},
                        {"Uid: 1 1 1 1\nGroups: 0 4 24\nNoNewPrivs: 1\nSeccomp: 2\nLabel: web (enforce)\n",
                         "Groups:"},
                        {"Uid: 1 1 1 1\nGroups: 4 24\nCapEff: 8\nNoNewPrivs: 1\nSeccomp: 2\nLabel: web "
                         "(enforce)\n",
                         "CapEff: 8, not 6"},
                        {"Uid: 1 1 1 1\nGroups: 4 24\nCapAmb: 1\nNoNewPrivs: 1\nSeccomp: 2\nLabel: web "
                         "(enforce)\n",
                         "CapAmb:"},
                        {"Uid: 1 1 1 1\nGroups: 4 24\nNoNewPrivs: 0\nSeccomp: 2\nLabel: web (enforce)\n",
                         "NoNewPrivs: 0, not 1"},
                        {"Uid: 1 1 1 1\nGroups: 4 24\nNoNewPrivs: 1\nLabel: web (enforce)\n",
                         "Seccomp: nothing, not 2"},
                        {"Uid: 1 1 1 1\nGroups: 4 24\nNoNewPrivs: 1\nSeccomp: 2\nLabel: unconfined\n",
                         "Label:"},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                int r = rights_compare("it", had, rows[i].has);

                assert_int_equal(r, rows[i].refusal ? -EPERM : 0);
                if (rows[i].refusal && !strstr(err_text(r), rows[i].refusal))
                        fail_msg("'%s' does not say '%s'", err_text(r), rows[i].refusal);
        }
        assert_int_equal(rights_compare("it", "Label: unconfined\n", ""), 0);
        assert_int_equal(rights_compare("it", "Seccomp_filters: 2\n", "Seccomp_filters: 3\n"), 0);
        assert_int_equal(rights_compare("it", "Seccomp_filters: 2\n", "Seccomp_filters: 1\n"), -EPERM);
        assert_non_null(strstr(err_text(-EPERM), "Seccomp_filters: 1, not 2"));
        assert_int_equal(rights_compare("it", "", "Dumpable: yes\n"), 0); /* by an older save */
}

int main(void) {
#define T(x) cmocka_unit_test_setup_teardown(x, setup, teardown)
        const struct CMUnitTest tests[] = {
                        T(test_files),
                        T(test_other_file),
                        T(test_more_access),
                        T(test_public),
                        T(test_public_in_private),
                        T(test_public_for_writing),
                        T(test_last_name),
                        T(test_of_itself),
                        T(test_rights),
                        T(test_filters),
                        T(test_dumpable),
                        T(test_dumpable_less),
                        T(test_unknown),
                        cmocka_unit_test(test_compare),
        };

        signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
