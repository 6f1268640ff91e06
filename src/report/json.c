/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The same facts for programs. Every field is always there; a value that does not exist is null. */

#include "report/report.h"

#include "base/err.h"
#include "json/node.h"

static void put_kernel(Node *node, const char *key, const char *kernel, const char *boot) {
        Node o = node_object();

        node_text(&o, "kernel", kernel);
        node_text(&o, "boot_id", boot);
        node_put(node, key, &o);
}

static void append_note(Node *array, const Note *note) {
        Node o = node_object();

        node_text(&o, "what", note->what);
        node_text(&o, "text", note->text);
        node_text(&o, "remedy", note->remedy);
        node_append(array, &o);
}

/* What was known before, and what was found after. */
static void put_notes(Node *node, const Tree *tree) {
        Node array = node_array();

        for (size_t i = 0; i < tree->n_degraded; i++)
                append_note(&array, tree->degraded[i]);
        node_put(node, "notes", &array);
}

static void append_tree(Node *array, const Tree *tree) {
        static const Outcome pending = OUTCOME__INIT;
        const Outcome *outcome = tree->outcome ?: &pending;
        Node o = node_object();

        node_text(&o, "name", tree->name);
        node_text(&o, "target", tree->target);
        node_text(&o, "comm", tree->comm);
        node_number(&o, "uid", true, tree->uid);
        node_number(&o, "root_pid", true, tree->root_pid);
        node_number(&o, "processes", true, tree->n_pids);
        node_number(&o, "connections", true, tree->n_connections);
        node_number(&o, "image_bytes", tree->has_image_bytes, tree->image_bytes);
        node_text(&o, "state", report_state_text(outcome->state));
        node_text(&o, "reason", outcome->reason);
        node_text(&o, "mode", outcome->mode);
        node_number(&o, "new_root_pid", outcome->has_root_pid, outcome->root_pid);
        node_number(&o, "gap_usec", outcome->has_gap, outcome->gap);
        node_text(&o, "images", outcome->images);
        put_notes(&o, tree);
        node_append(array, &o);
}

static void append_ended(Node *array, const Ended *ended) {
        Node o = node_object();

        node_text(&o, "what", ended->what);
        node_text(&o, "user", ended->user);
        node_text(&o, "fate", ended->fate);
        node_text(&o, "why", ended->why);
        node_append(array, &o);
}

static void append_step(Node *array, const Step *step) {
        Node o = node_object();

        node_text(&o, "name", step->name);
        node_text(&o, "tree", step->tree);
        node_number(&o, "realtime_usec", true, step->realtime);
        node_number(&o, "monotonic_usec", true, step->monotonic);
        node_number(&o, "duration_usec", true, step->duration);
        node_bool(&o, "after_jump", step->after_jump);
        node_append(array, &o);
}

static void put_report(Node *node, const Ticket *report) {
        Node trees = node_array(), ended = node_array(), steps = node_array();
        uint64_t gap = report_gap(report);

        node_text(node, "version", report->version);
        node_text(node, "id", report->id);
        node_text(node, "verdict", report_verdict_text(report_verdict(report)));
        node_text(node, "stopped", report->stopped);
        put_kernel(node, "old", report->old_kernel, report->old_boot);
        if (report->new_kernel)
                put_kernel(node, "new", report->new_kernel, report->new_boot);
        else
                node_null(node, "new");
        node_text(node, "action", report->action);
        node_number(node, "sealed_usec", report->sealed_at > 0, report->sealed_at);
        node_number(node, "claimed_usec", report->has_claimed_at, report->claimed_at);
        node_number(node, "done_usec", report->has_done_at, report->done_at);
        node_number(node, "gap_usec", gap > 0, gap);
        for (size_t i = 0; i < report->n_trees; i++)
                append_tree(&trees, report->trees[i]);
        node_put(node, "trees", &trees);
        for (size_t i = 0; i < report->n_ended; i++)
                append_ended(&ended, report->ended[i]);
        node_put(node, "not_kept", &ended);
        for (size_t i = 0; i < report->n_steps; i++)
                append_step(&steps, report->steps[i]);
        node_put(node, "steps", &steps);
}

static void put_scheduled(Node *node, const ReportNow *now) {
        Node scheduled = node_object();

        node_text(&scheduled, "action", now->scheduled);
        node_number(&scheduled, "realtime_usec", true, now->scheduled_at);
        node_put(node, "scheduled", &scheduled);
}

static void put_now(Node *node, const ReportNow *now) {
        node_text(node, "phase", report_phase_text(now->phase));
        node_bool(node, "hold", now->hold);
        node_number(node, "held_connections", true, now->held);
        node_number(node, "kept", true, now->kept);
        node_number(node, "gone", true, now->gone);
        if (now->scheduled[0])
                put_scheduled(node, now);
        else
                node_null(node, "scheduled");
}

int report_json(FILE *out, const Ticket *report, const ReportNow *now, bool pretty) {
        Node node = node_object();

        if (report)
                put_report(&node, report);
        if (now)
                put_now(&node, now);
        return err_pass(node_write(out, &node, pretty));
}

int report_history_json(FILE *out, Ticket *const *reports, size_t n, bool pretty) {
        Node array = node_array();

        for (size_t i = 0; i < n; i++) {
                Node node = node_object();

                put_report(&node, reports[i]);
                node_append(&array, &node);
        }
        return err_pass(node_write(out, &array, pretty));
}
