/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the path of a cgroup says, "/user.slice/user-1000.slice/session-4.scope/x" as /proc/PID/cgroup has it
 * from the root of the tree. Only PID 1 makes slices and what lies directly in them, so the way down to the
 * first part that is no slice is root's word. That part is the unit. What lies below it may have been made
 * and named by whoever the unit was given to, a user's service manager or a container: it says nothing.
 *
 * NULL, as on a machine without the unified hierarchy, is in no unit.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_ID_MAX 128u /* with the NUL */

/* Whether it is, or lies in, that unit of the system's manager; NAME.slice: also as one of the slices. */
bool cgroup_in_unit(const char *cgroup, const char *unit);

/* The login session that it is, or lies in, and the user whose slice holds that. The scope of a session that
 * came back in the kernel that it had been about to leave counts too (restore/scope.c). */
bool cgroup_session(const char *cgroup, uint32_t *ret_uid, char ret_id[static SESSION_ID_MAX]);

/* Whether it belongs to a user's service manager itself, and not to what that has started. */
bool cgroup_is_user_manager(const char *cgroup);

/* The innermost slice of the system's manager, "-.slice" if there is none. Caller frees; NULL: no memory. */
char *cgroup_slice(const char *cgroup);

/* What lies below the slices of the system's manager, "/session-4.scope"; "" if nothing does. Part of what
 * is passed. */
const char *cgroup_below_slices(const char *cgroup);

/* Likewise what lies below those slices alone in which `other` is, too; all of it if that shares none. */
const char *cgroup_beside(const char *cgroup, const char *other);

/* The ID of "session-ID.scope", which is all of the name. */
bool cgroup_path_session(const char *scope, char ret_id[static SESSION_ID_MAX]);

/* Whether a text of /proc/PID/cgroup has a group in another hierarchy than the unified one, as with cgroup
 * v1 or one mounted by hand. The roots of those are no groups. */
bool cgroup_text_is_elsewhere(const char *text);
