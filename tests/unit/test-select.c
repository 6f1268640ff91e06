/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Layouts of sshd, sudo and logind as they were seen on Debian 12 and 13, and the refusals. */

#include "config-build.h"
#include "tests/unit/select-world.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>

static void refused(World *w, const char *target, pid_t caller, int error, const char *sentence) {
        int r = resolve(w, target, caller);

        assert_int_equal(r, error);
        if (!strstr(err_text(r), sentence))
                fail_msg("%s: '%s' does not say '%s'", target ? target : "(default)", err_text(r), sentence);
}

static void test_session(void **state) {
        World *w = *state;
        Tree *t;

        assert_int_equal(resolve(w, "session:4", 506), 0);
        assert_int_equal(w->found.n, 2);
        t = w->found.items[0].tree;
        assert_string_equal(t->name, "session-4");
        assert_string_equal(t->target, "session:4");
        assert_int_equal(t->root_pid, 400);
        assert_int_equal(t->root_start, 4000);
        assert_int_equal(t->uid, 1000);
        assert_string_equal(t->comm, "sshd");
        assert_int_equal(t->n_pids, 4);
        assert_int_equal(t->pids[0], 400);
        assert_int_equal(t->n_ids, 4);
        assert_string_equal(t->cgroup, S4);
        assert_string_equal(t->slice, "user-1000.slice");
        assert_false(t->shell_job);
        assert_non_null(t->session);
        assert_string_equal(t->session->scope, "session-4.scope");
        t = w->found.items[1].tree;
        assert_string_equal(t->name, "session-4.2");
        assert_int_equal(t->root_pid, 390);
        assert_int_equal(t->n_pids, 2);
}

static void test_default(void **state) {
        World *w = *state;

        /* from inside sudo and su */
        assert_int_equal(resolve(w, NULL, 506), 0);
        assert_int_equal(w->found.n, 1);
        assert_string_equal(w->found.items[0].tree->target, "session:5");
        assert_int_equal(w->found.items[0].tree->root_pid, 500);
        /* moved to another cgroup, but a child of the session */
        free(world_at(w->s, 506)->cgroup);
        world_at(w->s, 506)->cgroup = strdup("/user.slice/user-0.slice/run-1.scope");
        assert_int_equal(resolve(w, NULL, 506), 0);
        assert_string_equal(w->found.items[0].tree->target, "session:5");
        refused(w, NULL, 800, -ESRCH, "does not run in a login session");
        refused(w, NULL, 9999, -ESRCH, "does not run in a login session");
}

/* A ticket with a name that is no unit's would not be sealed, for nobody. */
/* A session that is half back: what keeps its scope open is none of its trees; a user's own program of that
 * name is. */
static void test_scope_holder(void **state) {
        World *w = *state;
        SnapProcess *p = world_process(w->s, 380, 370, "carryover-hold", S4);

        free(p->exe);
        p->exe = strdup("/usr/lib/carryover/carryover-restore");
        assert_int_equal(resolve(w, "session:4", 506), 0);
        assert_int_equal(w->found.n, 2);
        world_at(w->s, 380)->uid = world_at(w->s, 380)->euid = 1000;
        assert_int_equal(resolve(w, "session:4", 506), 0);
        assert_int_equal(w->found.n, 3);
}

/* A session that came back in a PID namespace: its init is nobody's tree, and logind's leader of it. */
static void test_below_an_init(void **state) {
        World *w = *state;
        SnapProcess *init = world_process(w->s, 300, 1, "carryover-init", S4);
        const Tree *tree;

        free(init->exe);
        init->exe = strdup(LIBEXECDIR "/carryover-init");
        init->is_roots = true;
        init->own.pid = 1;
        w->sessions[0]->leader = 300;
        world_at(w->s, 400)->ppid = world_at(w->s, 390)->ppid = 300;
        world_at(w->s, 390)->start = 4100;
        world_at(w->s, 390)->pid = 410;
        world_at(w->s, 391)->ppid = 410;
        world_at(w->s, 400)->own = (SnapNumbers){20, 20, 20};
        world_at(w->s, 403)->own = (SnapNumbers){23, 23, 22};
        assert_int_equal(resolve(w, "session:4", 1), 0);
        assert_int_equal(w->found.n, 2);
        tree = w->found.items[0].tree;
        assert_int_equal(tree->root_pid, 400);
        assert_int_equal(tree->init_pid, 300);
        assert_int_equal(tree->own_root_pid, 20);
        assert_int_equal(tree->session->leader, 400);
        assert_int_equal(tree->ids[0], 20);
        assert_int_equal(tree->ids[1], 22);
        assert_int_equal(tree->ids[2], 23);
        tree = w->found.items[1].tree;
        assert_int_equal(tree->root_pid, 410);
        assert_int_equal(tree->session->leader, 400);
        assert_int_equal(resolve(w, "pid:300", 1), -EPERM);
        assert_int_equal(resolve(w, "pid:400", 1), 0);
        assert_string_equal(w->found.items[0].tree->session->id, "4");

        world_at(w->s, 400)->start = world_at(w->s, 410)->start + 1;
        assert_int_equal(resolve(w, "session:4", 1), 0);
        assert_int_equal(w->found.items[0].tree->root_pid, 410);
        world_at(w->s, 400)->start = 3000;

        world_at(w->s, 410)->pid = 390; /* from inside, where that got a low number */
        world_at(w->s, 391)->ppid = 390;
        world_at(w->s, 390)->ppid = world_at(w->s, 400)->ppid = 1;
        world_at(w->s, 1)->pid = 99;
        world_at(w->s, 300)->pid = 1;
        assert_int_equal(resolve(w, "session:4", 2), 0);
        assert_int_equal(w->found.items[0].tree->root_pid, 400);
        assert_int_equal(w->found.items[0].tree->session->leader, 400);
        assert_false(w->found.items[0].tree->has_init_pid);
        world_at(w->s, 1)->pid = 300;
        world_at(w->s, 99)->pid = 1;
        world_at(w->s, 390)->ppid = world_at(w->s, 400)->ppid = 300;

        world_at(w->s, 300)->is_roots = false; /* a user's program of that name */
        assert_int_equal(resolve(w, "session:4", 1), 0);
        assert_int_equal(w->found.n, 1);
        assert_int_equal(w->found.items[0].tree->root_pid, 300);
        assert_false(w->found.items[0].tree->has_init_pid);
}

static void test_cgroup_made_by_hand(void **state) {
        World *w = *state;

        world_process(w->s, 810, 1, "python3", "/user.slice/a b.slice/x.scope");
        assert_int_equal(resolve(w, "pid:810", 402), 0);
        assert_string_equal(w->found.items[0].tree->slice, "user.slice");
}

/* UsePAM no: no logind session, everything in the cgroup of ssh.service. */
static void no_pam(World *w, bool ten) {
        Snapshot *s = w->s;

        strcpy(world_process(s, 600, 100, ten ? "sshd-session" : "sshd", "/system.slice/ssh.service")->title,
               "sshd: joe [priv]");
        world_process(s, 601, 600, ten ? "sshd-session" : "sshd", "/system.slice/ssh.service")->uid = 1000;
        world_process(s, 602, 601, "bash", "/system.slice/ssh.service")->uid = 1000;
        world_process(s, 603, 602, "sudo", "/system.slice/ssh.service");
        world_process(s, 604, 603, "carryover", "/system.slice/ssh.service");
}

static void test_no_logind_session(void **state) {
        _cleanup_(freep) char *stable = NULL;
        World *w = *state;

        no_pam(w, false);
        assert_int_equal(resolve(w, NULL, 604), 0);
        assert_int_equal(w->found.n, 1);
        assert_int_equal(w->found.items[0].tree->root_pid, 600);
        assert_int_equal(w->found.items[0].tree->uid, 1000);
        assert_string_equal(w->found.items[0].tree->name, "pid-600");
        assert_int_equal(select_stable(w->found.items[0].tree, &stable), 0);
        assert_string_equal(stable, "pid:600@6000");
        /* the listener was restarted meanwhile */
        world_at(w->s, 600)->ppid = 1;
        assert_int_equal(resolve(w, NULL, 604), 0);
        assert_int_equal(w->found.items[0].tree->root_pid, 600);
}

static void test_openssh_10(void **state) {
        World *w = *state;

        no_pam(w, true);
        assert_int_equal(resolve(w, NULL, 604), 0);
        assert_int_equal(w->found.items[0].tree->root_pid, 600);
        assert_int_equal(w->found.items[0].tree->uid, 1000);
}

static void test_unit(void **state) {
        World *w = *state;

        assert_int_equal(resolve(w, "unit:app", 1234), 0);
        assert_int_equal(w->found.n, 2);
        assert_string_equal(w->found.items[0].tree->name, "unit-app.service");
        assert_string_equal(w->found.items[1].tree->name, "unit-app.service.2");
        assert_int_equal(w->found.items[1].tree->root_pid, 801);
        assert_string_equal(w->found.items[0].tree->slice, "system.slice");
        assert_int_equal(resolve(w, "unit:session-4.scope", 1234), 0);
        assert_string_equal(w->found.items[0].tree->target, "session:4");
}

static void test_pid(void **state) {
        World *w = *state;

        assert_int_equal(resolve(w, "pid:403", 506), 0);
        assert_int_equal(w->found.n, 1);
        assert_true(w->found.items[0].tree->shell_job);
        assert_int_equal(w->found.items[0].tree->n_ids, 2); /* the session's leader too */
        assert_null(w->found.items[0].tree->session);
        assert_int_equal(resolve(w, "pid:403@4030", 506), 0);
        assert_int_equal(resolve(w, "pid:403@4029", 506), 0); /* noted inside a carried session */
        assert_int_equal(resolve(w, "pid:403@4031", 506), 0);
        refused(w, "pid:403@4032", 506, -ESRCH, "another process now has its number");
        refused(w, "pid:403@4028", 506, -ESRCH, "another process now has its number");
}

static void test_refusals(void **state) {
        static const char *const bad[] = {
                        "",
                        "4",
                        "session:",
                        "session:../4",
                        "session:4\n",
                        "pid:",
                        "pid:0",
                        "pid:-1",
                        "pid:1x",
                        "pid:4194305",
                        "pid:1@",
                        "pid:1@0",
                        "unit:",
                        "unit:a/b",
                        "unit:x.mount",
                        "unit:.service",
                        "tree:4",
                        "pid:99999999999999999999",
        };
        World *w = *state;

        for (size_t i = 0; i < ELEMENTS(bad); i++)
                refused(w, bad[i], 506, -EINVAL, "invalid target");
        refused(w, "session:9", 506, -ESRCH, "session 9 does not exist");
        refused(w, "unit:nothing.service", 506, -ESRCH, "no process runs in system unit");
        refused(w, "pid:12345", 506, -ESRCH, "process 12345 does not exist");
        refused(w, "pid:1", 506, -EPERM, "PID 1");
        refused(w, "pid:3", 506, -EPERM, "every boot starts its own kernel threads");
        refused(w, "pid:506", 506, -EPERM, "is this command");
        refused(w, "pid:100", 506, -EPERM, "sshd listener");
        refused(w, "unit:ssh", 506, -EPERM, "sshd listener");
        refused(w, "unit:dbus.service", 506, -EPERM,
                "cannot be carried: every boot starts its own system bus");
        refused(w, "unit:systemd-logind", 506, -EPERM, "logind");
        world_at(w->s, 403)->state = 'Z';
        refused(w, "pid:403", 506, -ESRCH, "is a zombie");
        /* something inside that must stay */
        world_process(w->s, 404, 402, "x", "/system.slice/carryover.service");
        refused(w, "session:4", 506, -EPERM, "contains x (404), and every boot starts its own carryover");
}

/* Jobs beside the shell are trees of their own, but not without an end. */
static void test_many_jobs(void **state) {
        World *w = *state;

        assert_int_equal(resolve(w, "session:4", 506), 0);
        for (pid_t pid = 5000; w->found.n + (size_t)(pid - 5000) < 64; pid++)
                world_process(w->s, pid, 1, "job", S4);
        assert_int_equal(resolve(w, "session:4", 506), 0);
        assert_int_equal(w->found.n, 64);
        world_process(w->s, 6000, 1, "job", S4);
        assert_int_equal(resolve(w, "session:4", 506), -EPERM);
        assert_non_null(strstr(err_text(-EPERM), "session:4 has 65 daemonised jobs"));
}

static void test_zombie_root(void **state) {
        World *w = *state;

        world_at(w->s, 390)->state = 'Z';
        world_at(w->s, 391)->ppid = 1;
        assert_int_equal(resolve(w, "session:4", 506), 0);
        assert_int_equal(w->found.n, 2);
        assert_int_equal(w->found.items[1].tree->root_pid, 391);
}

/* A unit of a user's own is not the system's of that name. */
static void test_user_units(void **state) {
        static const char *const theirs[] = {
                        MANAGER "app.slice/x.service",
                        MANAGER "app.slice/x.slice/y.service",
                        MANAGER "x.service",
                        "/machine.slice/libpod-1.scope/x.service",
                        "/machine.slice/libpod-1.scope/system.slice/x.service",
                        "/user.slice/user-1000.slice/session-4.scope/x.service",
                        "/system.slice/app.service/x.service",
                        "/x.service.d/y.service",
                        "x.service",
                        "",
        };
        World *w = *state;

        for (size_t i = 0; i < ELEMENTS(theirs); i++)
                world_process(w->s, 900 + (pid_t)i, 1, "x", theirs[i])->uid = 1000;
        refused(w, "unit:x", 506, -ESRCH, "no process runs in system unit x.service");
        refused(w, "unit:x.slice", 506, -ESRCH, "no process runs in system unit x.slice");
        assert_int_equal(resolve(w, "pid:900", 506), 0);
        assert_string_equal(w->found.items[0].tree->slice, "user-1000.slice");
        assert_int_equal(w->found.items[0].tree->uid, 1000);
        assert_int_equal(resolve(w, "pid:903", 506), 0);
        assert_string_equal(w->found.items[0].tree->slice, "machine.slice");
        world_process(w->s, 950, 1, "x", "/app.slice/app-x.slice/x.service");
        assert_int_equal(resolve(w, "unit:x", 506), 0);
        assert_int_equal(w->found.n, 1);
        assert_int_equal(w->found.items[0].tree->root_pid, 950);
        assert_string_equal(w->found.items[0].tree->slice, "app-x.slice");
        assert_int_equal(resolve(w, "unit:app-x.slice", 506), 0);
        assert_int_equal(w->found.items[0].tree->root_pid, 950);
}

/* Cgroups that anybody, or a container, can make: none is root's session 5, and none keeps it from being
 * carried. */
static void test_others_cgroups(void **state) {
        static const char *const theirs[] = {
                        MANAGER "app.slice/session-5.scope",
                        MANAGER "session-5.scope",
                        MANAGER "user.slice/user-0.slice/session-5.scope",
                        "/machine.slice/libpod-1.scope/user.slice/user-0.slice/session-5.scope",
                        "/machine.slice/a@x.service/payload/user.slice/user-0.slice/session-5.scope",
                        "/system.slice/lxc.service/user.slice/user-0.slice/session-5.scope",
                        "/user.slice/user-1000.slice/session-4.scope/session-5.scope",
                        "/user.slice/user-1000.slice/x.scope/session-5.scope",
                        "/user.slice/session-5.scope",
                        "/user.slice/user-00.slice/session-5.scope",
                        "/user.slice/user-.slice/session-5.scope",
                        "/user.slice/user-0x.slice/session-5.scope",
                        "/user.slice/user-4294967295.slice/session-5.scope",
                        "/user.slice/user-99999999999.slice/session-5.scope",
                        "/user.slice/user-0.slice/x/session-5.scope",
                        "/user.slice/user-0.slice/session-5.scope.d",
                        "/user.slice/user-0.slice/session-5.service",
                        "/user.slice/user-0.slice/xsession-5.scope",
                        "/../user.slice/user-0.slice/session-5.scope",
                        "//user.slice/user-0.slice/session-5.scope",
                        "user.slice/user-0.slice/session-5.scope",
                        "/x.slice/user.slice/user-0.slice/session-5.scope",
                        "/session-5.scope",
        };
        World *w = *state;

        for (size_t i = 0; i < ELEMENTS(theirs); i++) {
                SnapProcess *p = world_process(w->s, 10000 + (pid_t)i, 1, "sshd", theirs[i]);

                p->uid = p->euid = 1000;
                strcpy(p->title, "[listener]");
                assert_int_equal(resolve(w, "session:5", 402), 0);
                if (w->found.n != 1)
                        fail_msg("%s joins session 5", theirs[i]);
                assert_int_equal(w->found.items[0].tree->root_pid, 500);
        }
        world_process(w->s, 20000, 1, "none", NULL)->uid = 1000; /* no unified hierarchy */
        assert_int_equal(resolve(w, "session:5", 402), 0);
        assert_int_equal(w->found.n, 1);
        refused(w, NULL, 10000, -ESRCH, "does not run in a login session");
}

/* Where a process of the session may be, too. */
static void test_own_cgroups(void **state) {
        World *w = *state;

        world_process(w->s, 560, 1, "job", S5 "/sub");
        world_process(w->s, 561, 1, "job", S5 "/sub/session-4.scope");
        /* it came back in the kernel that it had been about to leave */
        world_process(w->s, 562, 1, "job", "/user.slice/user-0.slice/carryover-session-5.scope");
        assert_int_equal(resolve(w, "session:5", 402), 0);
        assert_int_equal(w->found.n, 4);
        world_process(w->s, 563, 561, "carryover", S5 "/sub/session-4.scope");
        assert_int_equal(resolve(w, NULL, 563), 0);
        assert_string_equal(w->found.items[0].tree->target, "session:5");
        assert_int_equal(resolve(w, "session:4", 506), 0);
        assert_int_equal(w->found.n, 2);
}

static void owned(World *w, pid_t root, uint32_t uid) {
        for (size_t i = 0; i < w->found.n; i++)
                if ((pid_t)w->found.items[i].tree->root_pid == root) {
                        if (w->found.items[i].tree->uid != uid)
                                fail_msg("the tree of %d is %u's and not %u's", (int)root,
                                         w->found.items[i].tree->uid, uid);
                        return;
                }
        fail_msg("there is no tree of %d", (int)root);
}

/* Who runs in whose session: by sudo, by su, by a daemon of root's. */
static void test_owners(void **state) {
        World *w = *state;

        world_process(w->s, 410, 1, "sudo", S4);            /* joe's, left behind by its shell */
        world_process(w->s, 411, 410, "job", S4)->uid = 33; /* what it has begun */
        world_process(w->s, 412, 1, "job", S4)->uid = 33;   /* the same without its sudo */
        world_process(w->s, 413, 1, "su", S4)->uid = 1000;  /* su of joe's: real and effective user differ */
        world_process(w->s, 510, 1, "job", S5)->uid = 1000; /* root's su, left behind */
        world_process(w->s, 511, 1, "daemon", S5);
        assert_int_equal(resolve(w, "session:4", 506), 0);
        owned(w, 400, 1000); /* sshd's monitor */
        owned(w, 390, 1000);
        owned(w, 410, 1000);
        owned(w, 412, 33);
        owned(w, 413, 1000);
        assert_int_equal(resolve(w, "session:5", 402), 0);
        owned(w, 500, 0);
        owned(w, 510, 1000); /* and not root: its terminal may be another one of root's by then */
        owned(w, 511, 0);
        assert_int_equal(w->found.items[2].tree->root_pid, 510); /* behind all that is root's */
        assert_int_equal(resolve(w, "pid:410", 506), 0);
        owned(w, 410, 1000);
        assert_int_equal(resolve(w, "pid:400", 506), 0);
        owned(w, 400, 1000);
        assert_non_null(w->found.items[0].tree->session);
}

/* logind's word against PID 1's. */
static void test_whose_session(void **state) {
        World *w = *state;

        w->sessions[0]->uid = 0;
        refused(w, "session:4", 506, -EPERM, "session 4 belongs to user 0 according to logind");
        refused(w, "pid:400", 506, -EPERM, "session 4 belongs to user 0 according to logind");
        w->sessions[0]->uid = 1000;
        /* the leader has ended, and another user has its number now */
        w->sessions[1]->leader = 820;
        world_process(w->s, 820, 1, "x", MANAGER "app.slice/x.service")->uid = 1000;
        assert_int_equal(resolve(w, "pid:820", 402), 0);
        assert_null(w->found.items[0].tree->session);
        owned(w, 820, 1000);
}

/* Names of processes are anybody's to choose. */
static void test_named_sshd(void **state) {
        SnapProcess *p;
        World *w = *state;

        /* without PAM's session: who it serves is the user of sshd's child, whatever that has begun */
        no_pam(w, false);
        world_at(w->s, 602)->uid = 0; /* ssh joe@host sudo ... */
        assert_int_equal(resolve(w, "pid:600", 402), 0);
        owned(w, 600, 1000);
        /* not an sshd */
        p = world_process(w->s, 830, 1, "sshd", MANAGER "app.slice/x.service");
        p->uid = p->euid = 1000;
        free(p->exe);
        p->exe = strdup("/home/joe/sshd");
        world_process(w->s, 831, 830, "sudo", MANAGER "app.slice/x.service");
        world_process(w->s, 832, 831, "carryover", MANAGER "app.slice/x.service");
        assert_int_equal(resolve(w, "pid:830", 402), 0);
        owned(w, 830, 1000);
        refused(w, NULL, 832, -ESRCH, "does not run in a login session");
        /* a set-user-ID program is not root's, and another program of root's no sshd */
        world_at(w->s, 830)->euid = 0;
        refused(w, NULL, 832, -ESRCH, "does not run in a login session");
        world_at(w->s, 830)->uid = 0;
        strcpy(world_at(w->s, 830)->exe, "/bin/x");
        refused(w, NULL, 832, -ESRCH, "does not run in a login session");
}

/* What keeps a tree from being carried, and what only looks like it. */
static void test_must_stay(void **state) {
        static const struct {
                const char *comm, *exe, *title, *cgroup;
                uid_t uid;
                bool stays;
        } table[] = {
                        {"systemd-logind", "/x", "", "/system.slice/systemd-logind.service", 0, true},
                        {"udev", "/x", "", "/system.slice/systemd-udevd.service/udev", 0, true},
                        {"systemd", "/usr/lib/systemd/systemd", "", MANAGER "init.scope", 1000, true},
                        {"(sd-pam)", "/x", "", MANAGER "init.scope", 0, true},
                        {"sshd", "/usr/sbin/sshd", "sshd: /usr/sbin/sshd [listener]",
                         "/system.slice/ssh.service", 0, true},
                        {"sshd", "/usr/sbin/sshd", "sshd: /usr/sbin/sshd [listener]", "/my.slice/x.service",
                         0, true},
                        {"sleep", "/x", "", MANAGER "app.slice/systemd-logind.service", 1000, false},
                        {"sleep", "/x", "", MANAGER "app.slice/dbus.service", 1000, false},
                        {"sleep", "/x", "", MANAGER "carryover.service", 1000, false},
                        {"sleep", "/x", "", S4 "/systemd-logind.service", 1000, false},
                        {"sleep", "/x", "", "/machine.slice/a.scope/system.slice/dbus.service", 0, false},
                        {"sleep", "/x", "", "/machine.slice/a.scope/init.scope", 0, false},
                        {"systemd", "/home/joe/systemd", "", S4, 1000, false},
                        {"sshd", "/x", "[listener]", S4, 1000, false},
                        {"sshd", "/usr/sbin/sshd", "[listener]", S4, 1000, false},
                        {"sshd", "/usr/sbin/sshd", "[listener]", MANAGER "app.slice/ssh.service", 1000,
                         false},
                        {"sshd", "/x", "[listener]", "/system.slice/app.service", 0, false},
                        /* with root's rights, in a session: a program like any other */
                        {"sshd", "/usr/sbin/sshd", "[listener]", S4, 0, false},
        };
        World *w = *state;
        SnapProcess *p;

        for (size_t i = 0; i < ELEMENTS(table); i++) {
                char target[24];
                int r;

                p = world_process(w->s, 20000 + (pid_t)i, 1, table[i].comm, table[i].cgroup);
                free(p->exe);
                p->exe = strdup(table[i].exe);
                p->uid = p->euid = table[i].uid;
                strcpy(p->title, table[i].title);
                snprintf(target, sizeof target, "pid:%d", (int)p->pid);
                r = resolve(w, target, 402);
                if (r != (table[i].stays ? -EPERM : 0))
                        fail_msg("%s in %s: %d", table[i].comm, table[i].cgroup, r);
        }
}

/* One that must stay costs its own tree and no other. */
static void test_kept_without(void **state) {
        char *targets[] = {(char *)"session:4"};
        Keep keep = KEEP__INIT;
        Verdict problems = {0};
        SelectWorld world;
        World *w = *state;

        keep.targets = targets;
        keep.n_targets = 1;
        world_process(w->s, 392, 390, "x", "/system.slice/dbus.service");
        world_process(w->s, 395, 1, "job", S4)->uid = 1000;
        world = look(w);
        assert_int_equal(select_kept(&world, &keep, true, &w->found, &problems), 0);
        assert_int_equal(w->found.n, 3);
        assert_int_equal(w->found.items[1].tree->root_pid, 395);
        assert_string_equal(w->found.items[1].tree->name, "session-4.3"); /* whoever is left out before it */
        owned(w, 400, 1000);
        owned(w, 500, 0);
        assert_int_equal(problems.n_notes, 1);
        assert_string_equal(problems.notes[0].what, "target-refused");
        assert_non_null(strstr(problems.notes[0].text,
                               "session:4 is kept, but without process 390 (daemon): "));
        verdict_done(&problems);
        candidates_done(&w->found);

        /* root's session, in which somebody runs too many jobs */
        for (pid_t pid = 5000; pid < 5070; pid++)
                world_process(w->s, pid, 1, "job", S5)->uid = 1000;
        world_process(w->s, 6000, 1, "job", S5);
        world = look(w);
        assert_int_equal(select_kept(&world, NULL, true, &w->found, &problems), 0);
        assert_int_equal(w->found.n, 2 + 64);
        owned(w, 400, 1000);
        owned(w, 500, 0);
        owned(w, 6000, 0);
        assert_int_equal(problems.n_notes, 2);
        verdict_done(&problems);
}

static void test_kept(void **state) {
        char *targets[] = {(char *)"pid:403", (char *)"session:4", (char *)"pid:400@1", (char *)"unit:dbus"};
        Keep keep = KEEP__INIT;
        Verdict problems = {0};
        SelectWorld world;
        World *w = *state;

        world = look(w);
        keep.targets = targets;
        keep.n_targets = ELEMENTS(targets);
        assert_int_equal(select_kept(&world, &keep, false, &w->found, &problems), 0);
        assert_int_equal(w->found.n, 2); /* pid:403 went into session:4 */
        assert_int_equal(problems.n_notes, 2);
        assert_string_equal(problems.notes[0].what, "target-gone");
        assert_string_equal(problems.notes[1].what, "target-refused");
        assert_int_equal(w->found.n_gone, 1);
        assert_string_equal(w->found.gone[0], "pid:400@1");
        verdict_done(&problems);
        candidates_done(&w->found);
        assert_int_equal(select_kept(&world, &keep, true, &w->found, &problems), 0);
        assert_int_equal(w->found.n, 3);
        for (size_t i = 0; i < w->found.n; i++)
                assert_int_equal(w->found.items[i].why,
                                 strcmp(w->found.items[i].tree->target, "session:5") == 0 ? WHY_CONFIG
                                                                                          : WHY_KEEP);
        verdict_done(&problems);
        candidates_done(&w->found);
        assert_int_equal(select_kept(&world, NULL, false, &w->found, &problems), 0);
        assert_int_equal(w->found.n, 0);
        assert_int_equal(problems.n_notes, 0);
        candidates_done(&w->found);

        /* nobody named it, but it would end without a word */
        world_process(w->s, 990, 400, "x", "/system.slice/dbus.service");
        world = look(w);
        assert_int_equal(select_kept(&world, NULL, true, &w->found, &problems), 0);
        assert_int_equal(w->found.n, 2);
        assert_int_equal(problems.n_notes, 1);
        assert_string_equal(problems.notes[0].what, "target-refused");
        verdict_done(&problems);
}

int main(void) {
#define T(x) cmocka_unit_test_setup_teardown(x, setup, teardown)
        const struct CMUnitTest tests[] = {
                        T(test_session),       T(test_scope_holder),   T(test_cgroup_made_by_hand),
                        T(test_below_an_init), T(test_default),        T(test_no_logind_session),
                        T(test_openssh_10),    T(test_unit),           T(test_pid),
                        T(test_refusals),      T(test_many_jobs),      T(test_zombie_root),
                        T(test_user_units),    T(test_others_cgroups), T(test_own_cgroups),
                        T(test_owners),        T(test_whose_session),  T(test_named_sshd),
                        T(test_must_stay),     T(test_kept_without),   T(test_kept),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
