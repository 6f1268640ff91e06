/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "varlink/methods.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "config-build.h"
#include "flow/keep.h"
#include "flow/now.h"
#include "report/census.h"
#include "report/trees.h"
#include "varlink/reboot.h"
#include "json/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TEXTS_MAX 2u
#define FLAGS_MAX 4u

/* What polkit lets others than root do (units/io.carryover.policy). */
#define INSPECT OURS "inspect"
#define CHANGE  OURS "keep"
#define REBOOT  OURS "reboot"

/* By the convention of systemd's services: polkit may ask for a password. */
#define INTERACTIVE "allowInteractiveAuthentication"

/* A method answers with a negative errno, whose sentence is then the reply, or has made its reply. */
typedef struct Method {
        const char *name;
        bool anybody;
        const char *action; /* else: of polkit, for others than root; NULL: root alone may */
        /* Its parameters; both end with NULL. */
        const char *texts[TEXTS_MAX + 1], *flags[FLAGS_MAX + 1];
        int (*run)(const Call *call, char **ret);
} Method;

/* That a parameter is a text has been checked. NULL: it was not given. */
static const char *text_of(const Call *call, const char *name) {
        const char *text = NULL;

        (void)call_text(call, name, &text);
        return text;
}

static int write_status(FILE *out, const void *userdata) {
        const Now *now = userdata;

        return err_pass(report_json(out, now->ticket, &now->stands, false));
}

static int status(const Call *call, char **ret) {
        _cleanup_(now_done) Now now = {0};
        int r = now_look(text_of(call, "tree"), &now);

        return r < 0 ? err_pass(r) : call_reply(write_status, &now, false, ret);
}

static int subscription(const Call *call, char **ret) {
        _cleanup_(now_done) Now now = {0};
        int r;

        if (!call->more)
                return call_error(VARLINK "ExpectedMore", NULL, NULL, ret);
        r = now_look(NULL, &now);
        return r < 0 ? err_pass(r) : call_reply(write_status, &now, true, ret);
}

static int write_history(FILE *out, const void *userdata) {
        const History *history = userdata;
        int r;

        fputs("{\"reports\":", out);
        r = report_history_json(out, history->reports, history->n, false);
        fputs("}", out);
        return err_pass(r);
}

static int history(const Call *call, char **ret) {
        _cleanup_(history_done) History all = {0};
        int r = now_history(&all);

        return r < 0 ? err_pass(r) : call_reply(write_history, &all, false, ret);
}

static int write_trees(FILE *out, const void *userdata) {
        return err_pass(report_trees_json(out, userdata, false));
}

static int list(const Call *call, char **ret) {
        _cleanup_(candidates_done) Candidates trees = {0};
        int r = keep_list(&trees);

        return r < 0 ? err_pass(r) : call_reply(write_trees, &trees, false, ret);
}

static int look_at(const Call *call, Candidates *ret) {
        int r = trees_resolve(text_of(call, "target"), call->peer->pid, ret);

        return r < 0 ? err_pass(r) : err_pass(keep_inspect(ret));
}

static int check(const Call *call, char **ret) {
        _cleanup_(candidates_done) Candidates trees = {0};
        int r = look_at(call, &trees);

        return r < 0 ? err_pass(r) : call_reply(write_trees, &trees, false, ret);
}

static int keep(const Call *call, char **ret) {
        _cleanup_(candidates_done) Candidates trees = {0};
        _cleanup_(freep) char *why = NULL;
        int r = look_at(call, &trees), missing = 0;

        if (r >= 0 && candidates_refused(&trees, &why))
                return call_error(OURS "Refused", "message", why ?: "", ret);
        if (r >= 0)
                r = keep_trees(&trees, &missing);
        if (r >= 0 && missing > 0)
                r = verdict_add(&trees.machine, VERDICT_DEGRADED, "modules", NULL, KEEP_MODULES_MISSING);
        return r < 0 ? err_pass(r) : call_reply(write_trees, &trees, false, ret);
}

static int write_nothing(FILE *out, const void *userdata) {
        return fputs("{}", out) < 0 ? -EIO : 0;
}

/* target: NULL: all of them. */
static int forget(const char *target, char **ret) {
        int r = keep_drop(target);

        if (r == 1)
                return call_error(OURS "NotKept", NULL, NULL, ret);
        return r < 0 ? err_pass(r) : call_reply(write_nothing, NULL, false, ret);
}

static int drop(const Call *call, char **ret) {
        const char *target = text_of(call, "target");
        _cleanup_(freep) char *name = NULL;
        int r;

        if (!target)
                return call_error(VARLINK "InvalidParameter", "parameter", "target", ret);
        r = keep_name(target, &name);
        return r < 0 ? err_pass(r) : forget(name, ret);
}

static int drop_all(const Call *call, char **ret) {
        return forget(NULL, ret);
}

typedef struct Everything {
        Candidates kept;
        Census census;
} Everything;

static void everything_done(Everything *all) {
        candidates_done(&all->kept);
        census_done(&all->census);
}

static int write_everything(FILE *out, const void *userdata) {
        const Everything *all = userdata;

        return err_pass(report_census_json(out, &all->census, &all->kept.machine, false));
}

static int check_all(const Call *call, char **ret) {
        _cleanup_(everything_done) Everything all = {0};
        int r = keep_census(&all.kept, &all.census);

        return r < 0 ? err_pass(r) : call_reply(write_everything, &all, false, ret);
}

/* org.varlink.service */

static int write_info(FILE *out, const void *userdata) {
        Node node = node_object(), interfaces = node_array();

        node_text(&node, "vendor", "carryover");
        node_text(&node, "product", "carryover");
        node_text(&node, "version", PROJECT_VERSION);
        node_text(&node, "url", "");
        node_append_text(&interfaces, "io.carryover");
        node_append_text(&interfaces, "org.varlink.service");
        node_put(&node, "interfaces", &interfaces);
        return err_pass(node_write(out, &node, false));
}

static int info(const Call *call, char **ret) {
        return call_reply(write_info, NULL, false, ret);
}

static int write_description(FILE *out, const void *userdata) {
        Node node = node_object();

        node_text(&node, "description", userdata);
        return err_pass(node_write(out, &node, false));
}

static int description(const Call *call, char **ret) {
        const char *name = text_of(call, "interface"), *text = name ? interface_text(name) : NULL;

        if (!name)
                return call_error(VARLINK "InvalidParameter", "parameter", "interface", ret);
        return text ? call_reply(write_description, text, false, ret)
                    : call_error(VARLINK "InterfaceNotFound", "interface", name, ret);
}

static const Method methods[] = {
                {.name = VARLINK "GetInfo", .anybody = true, .run = info},
                {.name = VARLINK "GetInterfaceDescription",
                 .anybody = true,
                 .texts = {"interface"},
                 .run = description},
                {.name = OURS "Check", .action = INSPECT, .texts = {"target"}, .run = check},
                {.name = OURS "CheckAll", .action = INSPECT, .run = check_all},
                {.name = OURS "Drop", .action = CHANGE, .texts = {"target"}, .run = drop},
                {.name = OURS "DropAll", .action = CHANGE, .run = drop_all},
                {.name = OURS "History", .action = INSPECT, .run = history},
                {.name = OURS "Keep", .action = CHANGE, .texts = {"target"}, .run = keep},
                {.name = OURS "List", .action = INSPECT, .run = list},
                {.name = OURS "Reboot",
                 .action = REBOOT,
                 .texts = {"kernel"},
                 .flags = {"no_kexec", "force", "yes", "ignore_inhibitors"},
                 .run = method_reboot},
                {.name = OURS "Status", .action = INSPECT, .texts = {"tree"}, .run = status},
                {.name = OURS "Subscribe", .action = INSPECT, .run = subscription},
};

static int not_found(const char *method, char **ret) {
        const char *dot = strrchr(method, '.');
        _cleanup_(freep) char *interface = strndup(method, dot ? (size_t)(dot - method) : 0);

        if (!interface)
                return -ENOMEM;
        return interface_text(interface)
                               ? call_error(VARLINK "MethodNotFound", "method", method, ret)
                               : call_error(VARLINK "InterfaceNotFound", "interface", interface, ret);
}

/* The first parameter that the method does not know, or that is of another type; or NULL. */
static const char *wrong_parameter(const Method *method, const Call *call) {
        const char *known[TEXTS_MAX + FLAGS_MAX + 2] = {0}, *text;
        size_t n = 0;
        bool flag;

        for (size_t i = 0; method->texts[i]; i++) {
                known[n++] = method->texts[i];
                if (call_text(call, method->texts[i], &text) < 0)
                        return method->texts[i];
        }
        for (size_t i = 0; method->flags[i]; i++) {
                known[n++] = method->flags[i];
                if (call_flag(call, method->flags[i], &flag) < 0)
                        return method->flags[i];
        }
        if (method->action && call_flag(call, INTERACTIVE, &flag) < 0)
                return INTERACTIVE;
        known[n] = method->action ? INTERACTIVE : NULL;
        return json_unknown_key(&call->parameters, known);
}

int method_failed(int r, char **ret) {
        return call_error(OURS "Failed", "message", err_text(r), ret);
}

/* NULL: there is none. */
static const Method *find(const Call *call) {
        for (size_t i = 0; i < ELEMENTS(methods); i++)
                if (strcmp(methods[i].name, call->method) == 0)
                        return methods + i;
        return NULL;
}

int method_permit(const Call *call, char **ret) {
        const Method *method = find(call);
        bool interactive = false;
        int r;

        if (!method || method->anybody || call->peer->uid == 0)
                return 0;
        (void)call_flag(call, INTERACTIVE, &interactive);
        r = method->action ? polkit_check(call->peer, method->action, interactive) : POLKIT_NO;
        if (r == 0)
                return 0;
        if (r == POLKIT_NO)
                r = call_error(VARLINK "PermissionDenied", NULL, NULL, ret);
        else if (r == POLKIT_CHALLENGE)
                r = call_error(OURS "InteractiveAuthenticationRequired", NULL, NULL, ret);
        else
                r = method_failed(r, ret);
        return r < 0 ? err_pass(r) : 1;
}

int method_call(const Call *call, char **ret) {
        const Method *method = find(call);
        const char *wrong;
        int r;

        if (!method)
                return not_found(call->method, ret);
        wrong = wrong_parameter(method, call);
        if (wrong)
                return call_error(VARLINK "InvalidParameter", "parameter", wrong, ret);
        r = method->run(call, ret);
        return r < 0 ? method_failed(r, ret) : 0;
}

bool method_streams(const Call *call) {
        return call->more && !call->oneway && strcmp(call->method, OURS "Subscribe") == 0;
}
