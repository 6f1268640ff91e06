/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "report/trees.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "files/user.h"
#include "report/text.h"
#include "json/node.h"

#include <inttypes.h>

#define INDENT 4u

static const char *const level_colours[] = {"\033[32m", "\033[33m", "\033[31m"};

static void headline(FILE *out, const char *name, const Verdict *verdict, ReportStyle style) {
        const char *colour = style.colour ? level_colours[verdict->level] : "";
        const char *reset = colour[0] ? "\033[0m" : "", *dot = style.utf8 ? "\u25cf" : "*";
        _cleanup_(freep) char *clean = text_printable(name);

        if (verdict->level == VERDICT_REFUSED)
                dot = style.utf8 ? "\u00d7" : "x";
        fprintf(out, "%s%s%s %s - %s%s%s\n", colour, dot, reset, clean ?: "?", colour,
                verdict_level_text(verdict->level), reset);
}

static void notes(FILE *out, const Verdict *verdict, ReportStyle style) {
        for (size_t i = 0; i < verdict->n_notes; i++) {
                const VerdictNote *n = verdict->notes + i;
                char label[64];

                snprintf(label, sizeof label, "%s: ", n->what);
                text_paragraph(out, INDENT, label, n->text);
                if (!n->remedy)
                        continue;
                fprintf(out, "%*s%s", (int)(2 * INDENT), "", style.utf8 ? "\u2192 " : "-> ");
                text_flow(out, 2 * INDENT + (style.utf8 ? 2 : 3), REPORT_COLUMNS, false, n->remedy);
        }
}

static void count(FILE *out, size_t n, const char *one, const char *many) {
        if (n > 0)
                fprintf(out, ", %zu %s", n, n == 1 ? one : many);
}

void report_user(const Tree *tree, char ret[static REPORT_USER_SIZE]) {
        if (tree->session && tree->session->user[0])
                snprintf(ret, REPORT_USER_SIZE, "%s", tree->session->user);
        else
                user_name("", tree->uid, ret);
}

const char *report_why_text(CandidateWhy why) {
        return why == WHY_KEEP ? "keep" : why == WHY_CONFIG ? "configuration" : NULL;
}

void report_tree(FILE *out, const Candidate *c, ReportStyle style) {
        const Tree *tree = c->tree;
        _cleanup_(freep) char *comm = text_printable(tree->comm), *target = text_printable(tree->target);
        _cleanup_(freep) char *user = NULL;
        char name[REPORT_USER_SIZE];

        report_user(tree, name);
        user = text_printable(name);
        headline(out, tree->name, &c->verdict, style);
        fprintf(out, "    %s, %s (%" PRIu32 ")", target ?: "?", comm ?: "?", tree->root_pid);
        fprintf(out, " of %s", user ?: "?");
        count(out, tree->n_pids, "process", "processes");
        count(out, tree->n_connections, "connection", "connections");
        count(out, tree->n_ptys, "terminal", "terminals");
        fputc('\n', out);
        notes(out, &c->verdict, style);
}

void report_machine(FILE *out, const Verdict *verdict, ReportStyle style) {
        headline(out, "this machine", verdict, style);
        notes(out, verdict, style);
}

static void append_tree(Node *array, const Candidate *c, const Verdict *verdict) {
        const Tree *tree = c->tree;
        char user[REPORT_USER_SIZE];
        Node o = node_object();

        report_user(tree, user);

        node_text(&o, "name", tree->name);
        node_text(&o, "target", tree->target);
        node_text(&o, "comm", tree->comm);
        node_number(&o, "uid", true, tree->uid);
        node_text(&o, "user", user);
        node_text(&o, "session", tree->session ? tree->session->id : NULL);
        node_number(&o, "root_pid", true, tree->root_pid);
        node_number(&o, "processes", true, tree->n_pids);
        node_number(&o, "connections", true, tree->n_connections);
        node_number(&o, "terminals", true, tree->n_ptys);
        node_text(&o, "why", report_why_text(c->why));
        node_text(&o, "state", "running");
        if (verdict)
                node_verdict(&o, verdict);
        node_append(array, &o);
}

static void put_gone(Node *node, const Candidates *c) {
        Node array = node_array();

        for (size_t i = 0; i < c->n_gone; i++) {
                Node o = node_object();

                node_text(&o, "target", c->gone[i]);
                node_text(&o, "why", report_why_text(WHY_KEEP));
                node_text(&o, "state", "gone");
                node_append(&array, &o);
        }
        node_put(node, "gone", &array);
}

int report_trees_json(FILE *out, const Candidates *c, bool pretty) {
        Node node = node_object(), array = node_array();

        for (size_t i = 0; i < c->n; i++)
                append_tree(&array, c->items + i, c->judged ? &c->items[i].verdict : NULL);
        node_put(&node, "trees", &array);
        if (c->judged) {
                Node o = node_object();

                node_verdict(&o, &c->machine);
                node_put(&node, "machine", &o);
        } else
                node_null(&node, "machine");
        put_gone(&node, c);
        return err_pass(node_write(out, &node, pretty));
}
