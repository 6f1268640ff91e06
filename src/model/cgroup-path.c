/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "model/cgroup-path.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <string.h>

#define SLICE ".slice"

typedef struct Part {
        const char *text;
        size_t n; /* 0: there is none */
} Part;

/* Of what begins with a slash or is empty. */
static Part part_at(const char *path) {
        if (*path != '/')
                return (Part){path, 0};
        return (Part){path + 1, strcspn(path + 1, "/")};
}

static Part part_behind(Part p) {
        return part_at(p.text + p.n);
}

static bool part_is(Part p, const char *name) {
        return p.n > 0 && p.n == strlen(name) && memcmp(p.text, name, p.n) == 0;
}

static bool part_frames(Part p, const char *before, const char *behind) {
        size_t b = strlen(before), e = strlen(behind);

        return p.n > b + e && memcmp(p.text, before, b) == 0 && memcmp(p.text + p.n - e, behind, e) == 0;
}

/* A slice whose name is no unit's was made by hand, and PID 1 does not know it. */
static bool part_is_slice(Part p) {
        char name[256];

        if (!part_frames(p, "", SLICE) || p.n >= sizeof name)
                return false;
        memcpy(name, p.text, p.n);
        name[p.n] = '\0';
        return unit_is_safe(name);
}

static Part unit_of(const char *cgroup) {
        Part p = part_at(cgroup);

        while (part_is_slice(p))
                p = part_behind(p);
        return p;
}

bool cgroup_in_unit(const char *cgroup, const char *unit) {
        Part p;

        if (!cgroup)
                return false;
        for (p = part_at(cgroup); part_is_slice(p); p = part_behind(p))
                if (part_is(p, unit))
                        return true;
        return part_is(p, unit);
}

static bool id_of(Part p, const char *before, char ret_id[static SESSION_ID_MAX]) {
        static const char behind[] = ".scope";
        char id[SESSION_ID_MAX];
        size_t n;

        if (!part_frames(p, before, behind))
                return false;
        n = p.n - strlen(before) - strlen(behind);
        if (n >= sizeof id)
                return false;
        memcpy(id, p.text + strlen(before), n);
        id[n] = '\0';
        if (!name_is_safe(id))
                return false;
        memcpy(ret_id, id, n + 1);
        return true;
}

static bool uid_of(Part p, uint32_t *ret) {
        static const char before[] = "user-";
        char digits[16];
        uint64_t uid;
        size_t n;

        if (!part_frames(p, before, SLICE))
                return false;
        n = p.n - strlen(before) - strlen(SLICE);
        if (n >= sizeof digits)
                return false;
        memcpy(digits, p.text + strlen(before), n);
        digits[n] = '\0';
        if ((digits[0] == '0' && n > 1) || parse_u64(digits, UINT32_MAX - 1, &uid) < 0)
                return false;
        *ret = (uint32_t)uid;
        return true;
}

bool cgroup_session(const char *cgroup, uint32_t *ret_uid, char ret_id[static SESSION_ID_MAX]) {
        Part slice, scope;

        if (!cgroup || !part_is(part_at(cgroup), "user.slice"))
                return false;
        slice = part_behind(part_at(cgroup));
        scope = part_behind(slice);
        return uid_of(slice, ret_uid) &&
               (id_of(scope, "session-", ret_id) || id_of(scope, "carryover-session-", ret_id));
}

bool cgroup_is_user_manager(const char *cgroup) {
        Part unit = cgroup ? unit_of(cgroup) : (Part){"", 0};

        return part_frames(unit, "user@", ".service") && part_is(part_behind(unit), "init.scope");
}

char *cgroup_slice(const char *cgroup) {
        Part slice = {"-.slice", strlen("-.slice")};

        for (Part p = part_at(cgroup ?: ""); part_is_slice(p); p = part_behind(p))
                slice = p;
        return strndup(slice.text, slice.n);
}

bool cgroup_path_session(const char *scope, char ret_id[static SESSION_ID_MAX]) {
        return id_of((Part){scope, strlen(scope)}, "session-", ret_id) && !strchr(scope, '/');
}

const char *cgroup_below_slices(const char *cgroup) {
        Part p = unit_of(cgroup);

        return p.n > 0 ? p.text - 1 : p.text;
}

const char *cgroup_beside(const char *cgroup, const char *other) {
        Part p = part_at(cgroup), q = part_at(other);

        while (part_is_slice(p) && p.n == q.n && memcmp(p.text, q.text, p.n) == 0) {
                p = part_behind(p);
                q = part_behind(q);
        }
        return p.n > 0 ? p.text - 1 : p.text;
}

/* Lines are HIERARCHY:CONTROLLERS:PATH, and the unified one is number 0. */
bool cgroup_text_is_elsewhere(const char *text) {
        for (const char *line = text, *end; *line; line = *end ? end + 1 : end) {
                end = line + strcspn(line, "\n");
                if (!starts_with(line, "0::") && (size_t)(end - line) >= 2 && memcmp(end - 2, ":/", 2) != 0)
                        return true;
        }
        return false;
}
