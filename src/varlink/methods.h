/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The methods of io.carryover and of org.varlink.service. The table in methods.c is the only place that
 * knows them; what they do is what the verb of the same name does (flow), and what they answer is what it
 * prints with --json. */

#include "varlink/call.h"

/* Whether the peer may call it. Answer 1: no, and the caller of this frees the reply that says so. May wait
 * for somebody to type a password. -ENOMEM. */
int method_permit(const Call *call, char **ret);

/* The reply to a call that is permitted, that the caller of this frees; what went wrong is a reply too.
 * -ENOMEM. */
int method_call(const Call *call, char **ret);

/* The reply to a call that failed with r, which is negative: the sentence of r. */
int method_failed(int r, char **ret);

/* Whether there is more than one reply to it (subscribe.h). */
bool method_streams(const Call *call);

/* Of an interface, as org.varlink.service.GetInterfaceDescription() gives it, or NULL: it is not here. */
const char *interface_text(const char *name);
