/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * getpwuid(3) would ask sssd or LDAP, which wait for a server as long as their administrator allows: "list"
 * and "check" are what one types when the network is the problem.
 */

#include "files/user.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"
#include "files/state-file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define STATE_LIMIT  (64u << 10)
#define PASSWD_LIMIT (1u << 20) /* some ten thousand users */

static bool take(const char *name, size_t length, char *ret) {
        if (length == 0 || length >= USER_NAME_SIZE)
                return false;
        memcpy(ret, name, length);
        ret[length] = '\0';
        return name_is_safe(ret);
}

static char *slurp(const char *root, const char *name, size_t limit) {
        char path[PATH_MAX], *text = NULL;

        snprintf(path, sizeof path, "%s%s", root, name);
        return file_slurp(AT_FDCWD, path, limit, &text, NULL) < 0 ? NULL : text;
}

static bool from_logind(const char *root, uint32_t uid, char *ret) {
        _cleanup_(freep) char *text = NULL;
        char path[64], name[2 * USER_NAME_SIZE];

        snprintf(path, sizeof path, "/run/systemd/users/%" PRIu32, uid);
        text = slurp(root, path, STATE_LIMIT);
        return text && state_value(text, "NAME", name, sizeof name, NULL) && take(name, strlen(name), ret);
}

/* name:password:uid:… */
static bool from_passwd(const char *root, uint32_t uid, char *ret) {
        _cleanup_(freep) char *text = slurp(root, "/etc/passwd", PASSWD_LIMIT);
        char number[16];

        snprintf(number, sizeof number, ":%" PRIu32 ":", uid);
        for (const char *line = text; line; line = strchr(line, '\n')) {
                size_t name, password;

                line += *line == '\n';
                name = strcspn(line, ":\n");
                if (line[name] != ':')
                        continue;
                password = strcspn(line + name + 1, ":\n");
                if (starts_with(line + name + 1 + password, number))
                        return take(line, name, ret);
        }
        return false;
}

void user_name(const char *root, uint32_t uid, char ret[static USER_NAME_SIZE]) {
        if (!from_logind(root, uid, ret) && !from_passwd(root, uid, ret))
                snprintf(ret, USER_NAME_SIZE, "%" PRIu32, uid);
}
