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
/* The place of the one of this id among them, or NULL. */
Session *const *login_find(Session *const *sessions, size_t n, const char *id);
void login_sessions_free(Session **sessions, size_t n);

/*
 * The kernel (audit) counts logins from each boot's begin, and logind takes that number for the session's. A
 * login that gets the number of a session that is just coming back has none, and takes the other one's
 * record away. So from now on new ones get numbers above this one. At most LOGIN_NUMBER_MAX; -ENOTSUP: a
 * kernel without.
 */
#define LOGIN_NUMBER_MAX 1000u /* more logins than come while a restore is under way */
int login_numbers_lift(uint32_t above);

/* One value of the state file ("SERVICE"), unquoted and cut at size - 1; false if it has none. */
bool login_field(const Session *session, const char *key, char *out, size_t size);

/* A session that sshd opened. */
bool login_is_ssh(const Session *session);
