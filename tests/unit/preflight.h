/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A tree that preflight finds nothing in, for the tests to put something into. */

#include "tests/unit/world.h"

#include "preflight/preflight.h"

#define FACTS_ALL ((UINT32_C(1) << FACT_N) - 1)
#define S4        "/user.slice/user-0.slice/session-4.scope"

typedef struct World {
        Snapshot *s;
        Tree tree;
        PreflightFacts facts;
        Verdict v;
} World;

static int setup(void **state) {
        World *w = calloc(1, sizeof *w);

        w->s = world_new();
        world_process(w->s, 100, 1, "sshd", "/system.slice/ssh.service");
        world_process(w->s, 400, 100, "sshd", S4);
        world_process(w->s, 402, 400, "bash", S4);
        world_process(w->s, 800, 1, "tmux", S4);
        tree__init(&w->tree);
        w->tree.root_pid = 400;
        w->tree.root_start = 4000;
        w->facts = (PreflightFacts){.known = FACTS_ALL,
                                    .store_free = UINT64_C(1) << 30,
                                    .criu.no_new_privs = true,
                                    .criu.stops = true,
                                    .criu.resets = true,
                                    .criu.tcp_options = true,
                                    .criu.memfds = true,
                                    .criu.thp = true,
                                    .criu.ambient = true,
                                    .criu.pidfds = true};
        *state = w;
        return 0;
}

static int teardown(void **state) {
        World *w = *state;

        snapshot_free(w->s);
        verdict_done(&w->v);
        free(w);
        return 0;
}

static void look(World *w) {
        Candidate c = {.tree = &w->tree};

        verdict_done(&w->v);
        assert_int_equal(preflight_tree(w->s, c.tree, &w->facts, &c.verdict), 0);
        assert_int_equal(preflight_peers(w->s, &c, 1), 0);
        w->v = c.verdict;
}

static void expect(World *w, VerdictLevel level, const char *what, const char *text) {
        look(w);
        if (w->v.n_notes != 1)
                fail_msg("%s: %zu notes, the first is %s", what, w->v.n_notes,
                         w->v.n_notes ? w->v.notes[0].text : "-");
        assert_string_equal(w->v.notes[0].what, what);
        assert_int_equal(w->v.level, level);
        if (!strstr(w->v.notes[0].text, text))
                fail_msg("'%s' does not say '%s'", w->v.notes[0].text, text);
        if (level == VERDICT_REFUSED && strcmp(what, "gone") != 0)
                assert_non_null(w->v.notes[0].remedy);
}

static void expect_ok(World *w) {
        look(w);
        if (w->v.n_notes != 0)
                fail_msg("not ok: %s", w->v.notes[0].text);
        assert_int_equal(w->v.level, VERDICT_OK);
}
