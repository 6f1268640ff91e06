/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The same facts for programs. Every field is always there; a value that does not exist is null. A Node
 * remembers that an allocation failed and passes it on to the node that it is put into, so that only the end
 * has to look. */

#include "report/report.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "report/text.h"

#include <json-c/json.h>

typedef struct Node {
        json_object *json; /* NULL: out of memory, here or below */
} Node;

static Node node_object(void) {
        return (Node){json_object_new_object()};
}

static Node node_array(void) {
        return (Node){json_object_new_array()};
}

static void node_break(Node *node) {
        json_object_put(node->json);
        node->json = NULL;
}

static void put_null(Node *node, const char *key) {
        if (node->json && json_object_object_add(node->json, key, NULL) < 0)
                node_break(node);
}

/* Takes the value. */
static void put(Node *node, const char *key, json_object *value) {
        if (node->json && value && json_object_object_add(node->json, key, value) == 0)
                return;
        json_object_put(value);
        node_break(node);
}

static void append(Node *array, json_object *value) {
        if (array->json && value && json_object_array_add(array->json, value) == 0)
                return;
        json_object_put(value);
        node_break(array);
}

static void put_text(Node *node, const char *key, const char *value) {
        _cleanup_(freep) char *clean = value ? text_utf8(value) : NULL;

        if (!value)
                put_null(node, key);
        else
                put(node, key, clean ? json_object_new_string(clean) : NULL);
}

static void put_number(Node *node, const char *key, bool there, uint64_t value) {
        if (there)
                put(node, key, json_object_new_uint64(value));
        else
                put_null(node, key);
}

static void put_bool(Node *node, const char *key, bool value) {
        put(node, key, json_object_new_boolean(value));
}

static void put_kernel(Node *node, const char *key, const char *kernel, const char *boot) {
        Node o = node_object();

        put_text(&o, "kernel", kernel);
        put_text(&o, "boot_id", boot);
        put(node, key, o.json);
}

static void append_note(Node *array, const Note *note) {
        Node o = node_object();

        put_text(&o, "what", note->what);
        put_text(&o, "text", note->text);
        put_text(&o, "remedy", note->remedy);
        append(array, o.json);
}

/* What was known before and what was found after, in one list. */
static void put_notes(Node *node, const Tree *tree, const Outcome *outcome) {
        Node array = node_array();

        for (size_t i = 0; i < tree->n_degraded; i++)
                append_note(&array, tree->degraded[i]);
        for (size_t i = 0; i < outcome->n_notes; i++)
                append_note(&array, outcome->notes[i]);
        put(node, "notes", array.json);
}

static void append_tree(Node *array, const Tree *tree) {
        static const Outcome pending = OUTCOME__INIT;
        const Outcome *outcome = tree->outcome ?: &pending;
        Node o = node_object();

        put_text(&o, "name", tree->name);
        put_text(&o, "target", tree->target);
        put_text(&o, "comm", tree->comm);
        put_number(&o, "uid", true, tree->uid);
        put_number(&o, "root_pid", true, tree->root_pid);
        put_number(&o, "processes", true, tree->n_pids);
        put_number(&o, "connections", true, tree->n_connections);
        put_number(&o, "image_bytes", tree->has_image_bytes, tree->image_bytes);
        put_text(&o, "state", report_state_text(outcome->state));
        put_text(&o, "reason", outcome->reason);
        put_text(&o, "mode", outcome->mode);
        put_number(&o, "new_root_pid", outcome->has_root_pid, outcome->root_pid);
        put_number(&o, "gap_usec", outcome->has_gap, outcome->gap);
        put_text(&o, "images", outcome->images);
        put_notes(&o, tree, outcome);
        append(array, o.json);
}

static void append_step(Node *array, const Step *step) {
        Node o = node_object();

        put_text(&o, "name", step->name);
        put_text(&o, "tree", step->tree);
        put_number(&o, "realtime_usec", true, step->realtime);
        put_number(&o, "monotonic_usec", true, step->monotonic);
        put_number(&o, "duration_usec", true, step->duration);
        put_bool(&o, "after_jump", step->after_jump);
        append(array, o.json);
}

static void put_report(Node *node, const Ticket *report) {
        Node trees = node_array(), steps = node_array();
        uint64_t gap = report_gap(report);

        put_text(node, "version", report->version);
        put_text(node, "id", report->id);
        put_text(node, "verdict", report_verdict_text(report_verdict(report)));
        put_text(node, "stopped", report->stopped);
        put_kernel(node, "old", report->old_kernel, report->old_boot);
        if (report->new_kernel)
                put_kernel(node, "new", report->new_kernel, report->new_boot);
        else
                put_null(node, "new");
        put_text(node, "action", report->action);
        put_number(node, "sealed_usec", report->sealed_at > 0, report->sealed_at);
        put_number(node, "claimed_usec", report->has_claimed_at, report->claimed_at);
        put_number(node, "done_usec", report->has_done_at, report->done_at);
        put_number(node, "gap_usec", gap > 0, gap);
        for (size_t i = 0; i < report->n_trees; i++)
                append_tree(&trees, report->trees[i]);
        put(node, "trees", trees.json);
        for (size_t i = 0; i < report->n_steps; i++)
                append_step(&steps, report->steps[i]);
        put(node, "steps", steps.json);
}

static void put_now(Node *node, const ReportNow *now) {
        put_text(node, "phase", report_phase_text(now->phase));
        put_bool(node, "hold", now->hold);
        put_number(node, "held_connections", true, now->held);
        put_number(node, "kept", true, now->kept);
}

int report_json(FILE *out, const Ticket *report, const ReportNow *now, bool pretty) {
        int flags = JSON_C_TO_STRING_NOSLASHESCAPE |
                    (pretty ? JSON_C_TO_STRING_PRETTY : JSON_C_TO_STRING_PLAIN);
        Node node = node_object();
        const char *text;
        int r = 0;

        if (report)
                put_report(&node, report);
        if (now)
                put_now(&node, now);
        text = node.json ? json_object_to_json_string_ext(node.json, flags) : NULL;
        if (!text)
                r = err_born(-ENOMEM, "cannot write the report as JSON");
        else if (fputs(text, out) < 0 || fputc('\n', out) < 0)
                r = err_born(-EIO, "cannot write the report as JSON");
        node_break(&node);
        return r;
}
