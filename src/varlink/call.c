/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "varlink/call.h"

#include "base/err.h"
#include "base/text.h"
#include "json/node.h"

#include <errno.h>

#define CONTINUES "{\"continues\":true"

int call_read(const char *text, size_t size, Call *call) {
        static const char *const known[] = {"method", "parameters", "oneway", "more", "upgrade", NULL};
        int r = json_read(text, size, &call->message);

        if (r < 0)
                return r;
        call->parameters.json = NULL;
        call->oneway = call->more = false;
        if (json_unknown_key(&call->message, known) ||
            json_get_text(&call->message, "method", &call->method) != 0 ||
            json_get_object(&call->message, "parameters", &call->parameters) < 0 ||
            json_get_flag(&call->message, "oneway", &call->oneway) < 0 ||
            json_get_flag(&call->message, "more", &call->more) < 0) {
                call_done(call);
                return -EINVAL;
        }
        return 0;
}

void call_done(Call *call) {
        json_done(&call->message);
        call->parameters.json = NULL;
}

int call_text(const Call *call, const char *name, const char **ret) {
        return json_get_text(&call->parameters, name, ret);
}

int call_flag(const Call *call, const char *name, bool *ret) {
        return json_get_flag(&call->parameters, name, ret);
}

typedef struct Failure {
        const char *error, *parameter, *value;
} Failure;

static int write_error(FILE *out, const void *userdata) {
        const Failure *failure = userdata;
        Node node = node_object(), parameters = node_object();

        node_text(&node, "error", failure->error);
        if (failure->parameter)
                node_text(&parameters, failure->parameter, failure->value);
        node_put(&node, "parameters", &parameters);
        return err_pass(node_write(out, &node, false));
}

int call_error(const char *error, const char *parameter, const char *value, char **ret) {
        return text_written(write_error, &(Failure){error, parameter, value}, ret);
}

typedef struct Reply {
        CallWrite write;
        const void *userdata;
        bool continues;
} Reply;

static int write_reply(FILE *out, const void *userdata) {
        const Reply *reply = userdata;
        int r;

        fprintf(out, "%s\"parameters\":", reply->continues ? CONTINUES "," : "{");
        r = reply->write(out, reply->userdata);
        fputs("}", out);
        return r;
}

int call_reply(CallWrite write, const void *userdata, bool continues, char **ret) {
        return text_written(write_reply, &(Reply){write, userdata, continues}, ret);
}

bool call_continues(const char *reply) {
        return starts_with(reply, CONTINUES);
}
