/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One call of Varlink, read out of a message, and the replies to it. */

#include "systemd/polkit.h"
#include "json/reading.h"

#include <stdio.h>

typedef struct Call {
        JsonObject message, parameters; /* parameters live in the message */
        const char *method;
        bool oneway, more;
        const PolkitSubject *peer;
} Call;

/* Leaves the peer alone. -EINVAL: it is none. */
int call_read(const char *text, size_t size, Call *call);
void call_done(Call *call);

/* A parameter that is a text. Answer 1: it was not given. -EINVAL: it is none, to which InvalidParameter is
 * the reply. */
int call_text(const Call *call, const char *name, const char **ret);
/* One that is true or false. The same answers. */
int call_flag(const Call *call, const char *name, bool *ret);

/* Replies, as JSON without a NUL, that the caller frees. An error has at most one parameter, or NULL. */
#define VARLINK "org.varlink.service."
#define OURS    "io.carryover."
int call_error(const char *error, const char *parameter, const char *value, char **ret);

/* What `write` writes is the object of the parameters. */
typedef int (*CallWrite)(FILE *out, const void *userdata);
int call_reply(CallWrite write, const void *userdata, bool continues, char **ret);
bool call_continues(const char *reply); /* another one will come */
