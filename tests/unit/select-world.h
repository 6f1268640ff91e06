/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Two login sessions, as tests of select see them. */

#include "tests/unit/world.h"

#include "base/err.h"
#include "select/select.h"

#include <stdio.h>

#define S4 "/user.slice/user-1000.slice/session-4.scope"
#define S5 "/user.slice/user-0.slice/session-5.scope"

#define MANAGER "/user.slice/user-1000.slice/user@1000.service/"

typedef struct World {
        Snapshot *s;
        Session *sessions[2];
        Candidates found;
} World;

static inline Session *session(const char *id, uint32_t uid, uint32_t leader, const char *service) {
        Session *x = model_new(Session, session__init);
        char text[128];

        assert_non_null(x);
        x->uid = uid;
        x->has_leader = true;
        x->leader = leader;
        assert_int_equal(model_set_string(&x->id, id), 0);
        assert_int_equal(model_set_string(&x->user, uid ? "joe" : "root"), 0);
        snprintf(text, sizeof text, "session-%s.scope", id);
        assert_int_equal(model_set_string(&x->scope, text), 0);
        snprintf(text, sizeof text, "# private\nUID=%u\nSERVICE=%s\nLEADER=%u\n", uid, service, leader);
        assert_int_equal(model_set_string(&x->state_file, text), 0);
        return x;
}

/* OpenSSH 9 with PAM: listener 100; joe's session 4 with a setsid job, root's session 5 with sudo and su. */
static inline int setup(void **state) {
        World *w = calloc(1, sizeof *w);
        Snapshot *s = w->s = world_new();

        strcpy(world_process(s, 100, 1, "sshd", "/system.slice/ssh.service")->title,
               "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups");
        strcpy(world_process(s, 400, 100, "sshd", S4)->title, "sshd: joe [priv]");
        world_process(s, 401, 400, "sshd", S4)->uid = 1000;
        world_at(s, 401)->sid = world_at(s, 401)->pgid = 400;
        world_process(s, 402, 401, "bash", S4)->uid = 1000;
        world_process(s, 403, 402, "make", S4)->uid = 1000;
        world_at(s, 403)->sid = 402;
        world_process(s, 390, 1, "daemon", S4)->uid = 1000; /* older number than the login's */
        world_process(s, 391, 390, "child", S4)->uid = 1000;
        world_process(s, 500, 100, "sshd", S5);
        world_process(s, 502, 500, "bash", S5);
        world_process(s, 503, 502, "sudo", S5);
        world_process(s, 504, 503, "su", S5);
        world_process(s, 505, 504, "bash", S5)->uid = 33;
        world_process(s, 506, 505, "carryover", S5);
        world_process(s, 700, 1, "dbus-daemon", "/system.slice/dbus.service");
        world_process(s, 701, 1, "systemd-logind", "/system.slice/systemd-logind.service");
        world_process(s, 800, 1, "python3", "/system.slice/app.service");
        world_process(s, 801, 1, "python3", "/system.slice/app.service/sub");
        w->sessions[0] = session("4", 1000, 400, "sshd");
        w->sessions[1] = session("5", 0, 500, "sshd");
        *state = w;
        return 0;
}

static inline int teardown(void **state) {
        World *w = *state;

        snapshot_free(w->s);
        model_free(w->sessions[0]);
        model_free(w->sessions[1]);
        candidates_done(&w->found);
        free(w);
        return 0;
}

static inline SelectWorld look(World *w) {
        return (SelectWorld){.all = w->s, .sessions = w->sessions, .n_sessions = 2};
}

static inline int resolve(World *w, const char *target, pid_t caller) {
        SelectWorld world = look(w);

        candidates_done(&w->found);
        err_clear();
        return select_resolve(&world, target, caller, &w->found);
}
