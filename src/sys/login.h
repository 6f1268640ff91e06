/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Login sessions as logind and utmp know them, from logind's state files (/run/systemd/sessions, root's
 * own), so that it works late in a shutdown, without D-Bus. `root` is "" or a directory for tests.
 */

#include "model/model.h"

/* Answer 1 if there is no session of this id. Free with model_free(). */
int login_session(const char *root, const char *id, Session **ret);

/* Every session that has a scope (a user's service manager has none) of a sound name, by id. Free each, then
 * the array. */
int login_sessions(const char *root, Session ***ret, size_t *ret_n);
void login_sessions_free(Session **sessions, size_t n);

/* One value of the state file ("SERVICE"), unquoted and cut at size - 1; false if it has none. */
bool login_field(const Session *session, const char *key, char *out, size_t size);

/* A session that sshd opened. */
bool login_is_ssh(const Session *session);
