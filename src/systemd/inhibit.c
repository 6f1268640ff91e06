/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Who holds a lock chooses its texts, and logind writes them with escapes: once in systemd 252, and once
 * more inside quotation marks since. */

#include "systemd/inhibit.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "files/state-file.h"
#include "files/user.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INHIBIT_DIR    "/run/systemd/inhibit"
#define STATE_LIMIT    (64u << 10) /* about 200 bytes in practice */
#define MAX_INHIBITORS 16384u      /* each with its FIFO; logind's own InhibitorsMax= is 8192 */

static int digit(char c, unsigned base) {
        int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;

        return (unsigned)value < base ? value : -1;
}

/* "\303", "\xc3": the byte, and how many characters said it; 0: they say none. */
static size_t numeric(const char *text, char *ret) {
        bool hex = text[0] == 'x';
        size_t n = hex ? 2 : 3;
        unsigned value = 0;

        for (size_t i = 0; i < n; i++) {
                int d = digit(text[i + hex], hex ? 16 : 8); /* a NUL is no digit */

                if (d < 0)
                        return 0;
                value = value * (hex ? 16 : 8) + (unsigned)d;
        }
        *ret = value > 0 && value <= 0xff ? (char)value : '?';
        return n + hex;
}

/* In place: what it says gets no longer. An escape that is none stays as it is. */
static void unescape(char *text) {
        char *out = text;

        while (*text) {
                size_t n = text[0] == '\\' ? numeric(text + 1, out) : 0;

                if (n > 0)
                        text += 1 + n;
                else if (text[0] == '\\' && text[1] && strchr("\\\"'`$ ", text[1])) {
                        *out = text[1];
                        text += 2;
                } else if (text[0] == '\\' && text[1] && strchr("abfnrtv", text[1])) {
                        *out = ' ';
                        text += 2;
                } else
                        *out = *text++;
                out++;
        }
        *out = '\0';
}

static void words(const char *state, const char *key, const char *otherwise, char *out, size_t size) {
        bool quoted;

        if (!state_value(state, key, out, size, &quoted))
                snprintf(out, size, "%s", otherwise);
        if (quoted)
                unescape(out);
        unescape(out);
        text_tame(out);
}

static bool is_block_of_shutdown(const char *state) {
        char what[128], mode[32];
        size_t n;

        if (!state_value(state, "MODE", mode, sizeof mode, NULL) || strcmp(mode, "block") != 0 ||
            !state_value(state, "WHAT", what, sizeof what, NULL))
                return false;
        for (const char *word = what; *word; word += n + (word[n] == ':')) {
                n = strcspn(word, ":");
                if (n == strlen("shutdown") && strncmp(word, "shutdown", n) == 0)
                        return true;
        }
        return false;
}

/* A FIFO that nobody writes to is at its end; nothing is ever written to this one. */
static bool is_held(int dir, const char *name) {
        _cleanup_(closep) int fd = -1;
        char path[NAME_MAX + 8], byte;
        struct stat st;

        snprintf(path, sizeof path, "%.*s.ref", NAME_MAX, name);
        fd = openat(dir, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
        return fd >= 0 && fstat(fd, &st) >= 0 && S_ISFIFO(st.st_mode) && read(fd, &byte, 1) != 0;
}

/* Whether it counts. */
static bool inhibitor_read(int dir, const char *name, Inhibitor *ret) {
        _cleanup_(freep) char *state = NULL;
        char number[32];
        uint64_t uid;

        if (file_slurp(dir, name, STATE_LIMIT, &state, NULL) < 0 || !is_block_of_shutdown(state) ||
            !is_held(dir, name))
                return false;
        *ret = (Inhibitor){.uid = (uid_t)-1};
        words(state, "WHO", "?", ret->who, sizeof ret->who);
        words(state, "WHY", "no reason given", ret->why, sizeof ret->why);
        if (state_value(state, "UID", number, sizeof number, NULL) &&
            parse_u64(number, UINT32_MAX - 1, &uid) >= 0)
                ret->uid = (uid_t)uid;
        if (!state_value(state, "PID", number, sizeof number, NULL) || parse_pid(number, &ret->pid) < 0)
                ret->pid = 0;
        return true;
}

int inhibit_shutdown(const char *root, Inhibitor *ret, size_t *ret_n) {
        _cleanup_(closedirp) DIR *d = NULL;
        char path[PATH_MAX], first[NAME_MAX + 1] = "";
        struct dirent *e;
        size_t n = 0, seen = 0;

        snprintf(path, sizeof path, "%s" INHIBIT_DIR, root);
        d = opendir(path);
        if (!d)
                return errno == ENOENT ? 1 : err_born(-errno, "cannot list %s", path);
        while ((e = readdir(d))) {
                Inhibitor one;

                if (!name_is_safe(e->d_name) || entry_type(dirfd(d), e) != DT_REG)
                        continue;
                if (++seen > MAX_INHIBITORS)
                        return err_say(-E2BIG, "%s: more than %u files", path, MAX_INHIBITORS);
                if (!inhibitor_read(dirfd(d), e->d_name, &one))
                        continue;
                if (n++ > 0 && strverscmp(e->d_name, first) > 0)
                        continue;
                snprintf(first, sizeof first, "%s", e->d_name);
                *ret = one;
        }
        *ret_n = n;
        return n == 0;
}

char *inhibit_text(const Inhibitor *inhibitor, size_t n) {
        _cleanup_(freep) char *others = NULL, *process = NULL;
        char name[USER_NAME_SIZE];

        user_name("", inhibitor->uid, name);
        process = inhibitor->pid > 0 ? text_format("PID %d, ", (int)inhibitor->pid) : strdup("");
        others = n > 1 ? text_format(" (and %zu more: see systemd-inhibit --list)", n - 1) : strdup("");
        return process && others ? text_format("\"%s\" (%s%s%s) inhibits a shutdown: %s%s", inhibitor->who,
                                               process, name[0] >= '0' && name[0] <= '9' ? "UID " : "", name,
                                               inhibitor->why, others)
                                 : NULL;
}
