/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A reason is never cut, since it may be a command: it goes on below itself. */

#include "report/census.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "report/text.h"
#include "json/node.h"

#include <inttypes.h>
#include <string.h>
#include <sys/param.h>

#define WHAT_MAX 28u /* of what is longer the row begins on the next line */
#define USER_MAX 16u
#define BETWEEN  2u

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

typedef struct Widths {
        size_t what, user, fate;
} Widths;

static const char anew_text[] = "starts anew";

static void widen(size_t *width, const char *text, size_t max) {
        *width = MAX(*width, MIN(strlen(text), max));
}

/* Its number, if it has no name. */
static const char *user_of(const Thing *t, char number[static 16]) {
        snprintf(number, 16, "%" PRIu32, (uint32_t)t->uid);
        return t->user ?: number;
}

static Widths widths_of(const Census *c, bool anew) {
        Widths w = {strlen("WHAT"), strlen("USER"), strlen("FATE")};
        char number[16];

        for (size_t i = 0; i < c->n; i++) {
                widen(&w.what, c->things[i].what, WHAT_MAX);
                widen(&w.user, user_of(c->things + i, number), USER_MAX);
                widen(&w.fate, fate_text(c->things[i].fate), REPORT_COLUMNS);
        }
        for (size_t i = 0; anew && i < c->n_anew; i++) {
                widen(&w.what, c->anew[i], WHAT_MAX);
                widen(&w.fate, anew_text, REPORT_COLUMNS);
        }
        return w;
}

static void cell(FILE *out, const char *text, size_t width) {
        _cleanup_(freep) char *clean = text_printable(text);
        bool cut = clean && strlen(clean) > width;

        fprintf(out, "%-*.*s%s%*s", (int)(cut ? width - 1 : width), (int)(cut ? width - 1 : width),
                clean ?: "?", cut ? "+" : "", (int)BETWEEN, "");
}

static const char *fate_colour(Fate fate, ReportStyle style) {
        static const char *const colours[] = {"\033[31m", "\033[33m", "\033[32m"};

        return style.colour ? colours[fate] : "";
}

static void row(FILE *out, const Widths *w, const char *what, const char *user, const char *fate,
                const char *colour, const char *why) {
        size_t fate_at = w->what + w->user + 2 * BETWEEN, why_at = fate_at + w->fate + BETWEEN;

        if (strlen(what) > w->what) {
                text_flow(out, 0, REPORT_COLUMNS, true, what);
                what = "";
        }
        cell(out, what, w->what);
        cell(out, user, w->user);
        fprintf(out, "%s%s%s", colour, fate, colour[0] ? "\033[0m" : "");
        if (!why || !why[0]) {
                fputc('\n', out);
                return;
        }
        fprintf(out, "%*s", (int)(why_at - fate_at - strlen(fate)), "");
        text_flow(out, why_at, REPORT_COLUMNS, true, why);
}

static void rows(FILE *out, const Census *c, bool anew, ReportStyle style) {
        const Widths w = widths_of(c, anew);

        row(out, &w, "WHAT", "USER", "FATE", "", "WHY");
        for (size_t i = 0; i < c->n; i++) {
                const Thing *t = c->things + i;
                char number[16];

                row(out, &w, t->what, user_of(t, number), fate_text(t->fate), fate_colour(t->fate, style),
                    t->why);
        }
        for (size_t i = 0; anew && i < c->n_anew; i++)
                row(out, &w, c->anew[i], "", anew_text, "", NULL);
        fputc('\n', out);
}

void report_census_lost(FILE *out, const Census *c, size_t max, ReportStyle style) {
        size_t n = c->counts[FATE_LOST] + c->counts[FATE_LOSSES]; /* they come first */
        const Census shown = {.things = c->things, .n = MIN(n, max)};

        if (c->unknown)
                fprintf(out, "This reboot ends what is not kept; cannot tell what that is: %s\n",
                        c->unknown);
        if (n == 0)
                return;
        fprintf(out, "This reboot ends:\n");
        rows(out, &shown, false, style);
        if (n > max)
                fprintf(out, "and %zu more: carryover check --all\n\n", n - max);
}

/* Rounded up: who has less room than that is refused anyhow. */
static void size_text(uint64_t bytes, char out[static 32]) {
        if (bytes < GIB)
                snprintf(out, 32, "%" PRIu64 " MiB", bytes / MIB + (bytes % MIB > 0));
        else
                snprintf(out, 32, "%.1f GiB", (double)bytes / (double)GIB);
}

/* The gap has a line of its own where both have no room on one. */
static void sum(FILE *out, const Census *c) {
        char bytes[32], room[32], size[80] = "", gap[64] = "";
        int n;

        size_text(c->bytes, bytes);
        size_text(c->room, room);
        if (c->bytes > 0)
                snprintf(size, sizeof size, "; about %s%s%s", bytes, c->has_room ? " of " : "",
                         c->has_room ? room : "");
        if (c->gap > 0)
                snprintf(gap, sizeof gap, "gap about %" PRIu64 " s (last time)",
                         (c->gap + USEC_PER_SEC / 2) / USEC_PER_SEC);
        n = fprintf(out, "%zu carried, %zu with losses, %zu lost%s", c->counts[FATE_CARRIED],
                    c->counts[FATE_LOSSES], c->counts[FATE_LOST], size);
        if (gap[0])
                fprintf(out, ";%s%s", (size_t)MAX(n, 0) + 2 + strlen(gap) > REPORT_COLUMNS ? "\n  " : " ",
                        gap);
        fputc('\n', out);
}

void report_census(FILE *out, const Census *c, bool anew, ReportStyle style) {
        if (c->n > 0 || (anew && c->n_anew > 0))
                rows(out, c, anew, style);
        sum(out, c);
        fprintf(out, "%zu service%s start%s anew\n", c->n_anew, c->n_anew == 1 ? "" : "s",
                c->n_anew == 1 ? "s" : "");
}

static void append_thing(Node *array, const Thing *t) {
        Node o = node_object();

        node_text(&o, "kind", thing_kind_text(t->kind));
        node_text(&o, "what", t->what);
        node_text(&o, "user", t->user);
        node_number(&o, "uid", true, t->uid);
        node_number(&o, "pid", true, (uint64_t)t->pid);
        node_number(&o, "processes", true, t->n_processes);
        node_number(&o, "kept_processes", true, t->n_kept);
        node_text(&o, "fate", fate_text(t->fate));
        node_text(&o, "why", t->why);
        node_text(&o, "target", t->target);
        node_append(array, &o);
}

int report_census_json(FILE *out, const Census *c, const Verdict *machine, bool pretty) {
        Node node = node_object(), things = node_array(), anew = node_array(), verdict = node_object();

        for (size_t i = 0; i < c->n; i++)
                append_thing(&things, c->things + i);
        for (size_t i = 0; i < c->n_anew; i++)
                node_append_text(&anew, c->anew[i]);
        node_put(&node, "things", &things);
        node_put(&node, "starts_anew", &anew);
        node_number(&node, "carried", true, c->counts[FATE_CARRIED]);
        node_number(&node, "with_losses", true, c->counts[FATE_LOSSES]);
        node_number(&node, "lost", true, c->counts[FATE_LOST]);
        node_number(&node, "image_bytes", true, c->bytes);
        node_number(&node, "room_bytes", c->has_room, c->room);
        node_number(&node, "gap_usec", c->gap > 0, c->gap);
        node_verdict(&verdict, machine);
        node_put(&node, "machine", &verdict);
        return err_pass(node_write(out, &node, pretty));
}
