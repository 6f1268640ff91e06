/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Files are read in the order in which later ones win. Every mistake is an error and not a warning: a
 * misspelt KeepSshSessions= would be noticed only by the sessions that are gone.
 */

#include "files/config.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "model/model.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_LIMIT  (64u << 10)
#define MAX_DROPINS 256u
#define LONGEST_WAIT                                                                                        \
        (24 * 3600 * USEC_PER_SEC) /* a bound on everything: nothing may hold up a shutdown for ever */

/* Values. Each parser writes one field and returns -EINVAL; the table has the words for what is allowed. */

static int set_bool(const char *value, void *field) {
        int r = parse_bool(value);

        if (r < 0)
                return r;
        *(bool *)field = r;
        return 0;
}

/* The digits that a value begins with, and what is behind them. */
static int number_parse(const char *value, uint64_t max, uint64_t *ret, const char **ret_rest) {
        size_t digits = strspn(value, "0123456789");
        char number[24];

        if (digits >= sizeof number)
                return -EINVAL;
        memcpy(number, value, digits);
        number[digits] = '\0';
        *ret_rest = value + digits;
        return parse_u64(number, max, ret);
}

static int set_seconds(const char *value, void *field) {
        static const struct {
                const char *unit;
                uint64_t usec;
        } units[] = {
                        {"", USEC_PER_SEC},         {"s", USEC_PER_SEC},        {"sec", USEC_PER_SEC},
                        {"ms", USEC_PER_MSEC},      {"min", 60 * USEC_PER_SEC}, {"m", 60 * USEC_PER_SEC},
                        {"h", 3600 * USEC_PER_SEC},
        };
        const char *unit;
        uint64_t n;

        if (number_parse(value, LONGEST_WAIT, &n, &unit) < 0)
                return -EINVAL;
        unit += strspn(unit, " ");
        for (size_t i = 0; i < ELEMENTS(units); i++) {
                if (strcmp(unit, units[i].unit) != 0)
                        continue;
                if (n == 0 || n > LONGEST_WAIT / units[i].usec)
                        return -EINVAL;
                *(uint64_t *)field = n * units[i].usec;
                return 0;
        }
        return -EINVAL;
}

static int set_amount(const char *value, void *field) {
        static const char units[] = "KMGT";
        const char *unit, *found;
        uint64_t n;

        if (number_parse(value, UINT64_MAX, &n, &unit) < 0)
                return -EINVAL;
        if (strcmp(unit, "%") == 0) {
                if (n == 0 || n > 100)
                        return -EINVAL;
                *(Amount *)field = (Amount){.percent = (unsigned)n};
                return 0;
        }
        found = unit[0] && !unit[1] ? strchr(units, unit[0]) : NULL;
        if (unit[0] && (!found || n > UINT64_MAX >> (10 * (found - units + 1))))
                return -EINVAL;
        *(Amount *)field = (Amount){.bytes = found ? n << (10 * (found - units + 1)) : n};
        return 0;
}

static int set_count(const char *value, void *field) {
        uint64_t n;

        if (parse_u64(value, UINT32_MAX, &n) < 0 || n == 0)
                return -EINVAL;
        *(uint64_t *)field = n;
        return 0;
}

static int set_pid_mode(const char *value, void *field) {
        static const char *const names[] = {[PID_MODE_AUTO] = "auto",
                                            [PID_MODE_HOST] = "host",
                                            [PID_MODE_NAMESPACE] = "namespace"};

        for (size_t i = 0; i < ELEMENTS(names); i++)
                if (strcmp(value, names[i]) == 0) {
                        *(PidMode *)field = (PidMode)i;
                        return 0;
                }
        return -EINVAL;
}

static int set_send(const char *value, void *field) {
        if (strcmp(value, "always") != 0 && strcmp(value, "failed") != 0)
                return -EINVAL;
        *(bool *)field = value[0] == 'f';
        return 0;
}

static int set_hold(const char *value, void *field) {
        return hold_backend_parse(value, field);
}

static int set_path(const char *value, void *field) {
        size_t l = strlen(value);

        if (value[0] != '/' || l < 2 || l >= sizeof((Config *)0)->store || path_has_dots(value) ||
            strstr(value, "//"))
                return -EINVAL;
        memcpy(field, value, l + 1);
        return 0;
}

static int set_program(const char *value, void *field) {
        if (value[0] == '/')
                return set_path(value, field);
        if (!name_is_safe(value))
                return -EINVAL;
        strcpy(field, value); /* at most 128 bytes */
        return 0;
}

static const struct {
        const char *name;
        int (*set)(const char *value, void *field);
        size_t offset;
        const char *standard, *allowed;
} settings[] = {
                {"Store", set_path, offsetof(Config, store), "/var/lib/carryover", "an absolute path"},
                {"KeepSshSessions", set_bool, offsetof(Config, keep_ssh), "no", "yes or no"},
                {"KeepImages", set_bool, offsetof(Config, keep_images), "no", "yes or no"},
                {"Encrypt", set_bool, offsetof(Config, encrypt), "no", "yes or no"},
                {"PidMode", set_pid_mode, offsetof(Config, pid_mode), "auto", "auto, host or namespace"},
                {"Hold", set_hold, offsetof(Config, hold), "auto", "auto, iptables or nftables"},
                {"SettleTimeoutSec", set_seconds, offsetof(Config, settle_usec), "20s",
                 "a time like 20s, up to a day"},
                {"CriuTimeoutSec", set_seconds, offsetof(Config, criu_usec), "120s",
                 "a time like 120s, up to a day"},
                {"NetworkTimeoutSec", set_seconds, offsetof(Config, network_usec), "120s",
                 "a time like 2min, up to a day"},
                {"MountTimeoutSec", set_seconds, offsetof(Config, mount_usec), "120s",
                 "a time like 2min, up to a day"},
                {"TcpClose", set_bool, offsetof(Config, tcp_close), "no", "yes or no"},
                {"MaxUse", set_amount, offsetof(Config, max_use), "90%",
                 "a size like 512M or 10G, or a percentage"},
                {"MaxUsePerUser", set_amount, offsetof(Config, max_use_per_user), "50%",
                 "a size like 512M or 10G, or a percentage"},
                {"MaxProcesses", set_count, offsetof(Config, max_processes), "4096", "a number"},
                {"MaxFiles", set_count, offsetof(Config, max_files), "65536", "a number"},
                {"SendReports", set_send, offsetof(Config, send_failed), "always", "always or failed"},
                {"MetricsDirectory", set_path, offsetof(Config, metrics),
                 "/var/lib/prometheus/node-exporter", "an absolute path"},
                {"Notify", set_bool, offsetof(Config, notify), "yes", "yes or no"},
                {"Criu", set_program, offsetof(Config, criu), "criu", "an absolute path or a name"},
};

void config_defaults(Config *ret) {
        *ret = (Config){0};
        for (size_t i = 0; i < ELEMENTS(settings); i++)
                (void)settings[i].set(settings[i].standard, (char *)ret + settings[i].offset);
}

/* Lines. */

static char *strip(char *text) {
        size_t l;

        text += strspn(text, " \t\r");
        l = strlen(text);
        while (l > 0 && strchr(" \t\r", text[l - 1]))
                text[--l] = '\0';
        return text;
}

/* One that is being read: strict until the first error, or (anyway) past all of them. */
typedef struct Reading {
        Config *config;
        ConfigLine *lines; /* where each setting stands, or NULL */
        bool anyway;
        ErrRecord first; /* the error that is told in the end */
} Reading;

static int note_line(ConfigLine *line, const char *value, const char *path, unsigned number) {
        int r = model_set_string(&line->value, value);

        if (r >= 0)
                r = model_set_string(&line->path, path);
        line->number = number;
        return r;
}

static int setting_apply(const char *path, unsigned number, char *line, Reading *reading) {
        Config *c = reading->config;

        char *equals = strchr(line, '=');
        const char *name, *value;

        if (!equals)
                return err_say(-EINVAL, "%s:%u: expected Name=value", path, number);
        *equals = '\0';
        name = strip(line);
        value = strip(equals + 1);
        for (size_t i = 0; i < ELEMENTS(settings); i++) {
                if (strcmp(name, settings[i].name) != 0)
                        continue;
                if (settings[i].set(value, (char *)c + settings[i].offset) < 0)
                        return err_say(-EINVAL, "%s:%u: invalid value for %s=: '%.64s'; expected %s", path,
                                       number, name, value, settings[i].allowed);
                return reading->lines ? note_line(reading->lines + i, value, path, number) : 0;
        }
        return err_say(-EINVAL, "%s:%u: unknown setting %.64s=, see carryover.conf(5)", path, number, name);
}

/* Whether to go on behind an error. */
static int reading_failed(Reading *reading, int r) {
        if (r >= 0 || !reading->anyway)
                return r;
        if (reading->first.r >= 0) {
                reading->first = err_keep();
                reading->first.r = r;
        }
        return 0;
}

static int text_apply(const char *path, char *text, size_t size, Reading *reading) {
        bool in_section = false;
        unsigned number = 0;

        if (strlen(text) != size)
                return err_say(-EINVAL, "%s: the file contains a NUL byte", path);
        for (char *next, *line = text; line; line = next) {
                int r = 0;

                number++;
                next = strchr(line, '\n');
                if (next)
                        *next++ = '\0';
                line = strip(line);
                if (line[0] == '\0' || line[0] == '#' || line[0] == ';')
                        continue;
                if (line[0] == '[') {
                        in_section = strcmp(line, "[Carryover]") == 0;
                        if (!in_section)
                                r = err_say(-EINVAL,
                                            "%s:%u: unknown section %.64s, only [Carryover] is allowed",
                                            path, number, line);
                } else if (!in_section)
                        r = err_say(-EINVAL, "%s:%u: setting before the [Carryover] section", path, number);
                else
                        r = setting_apply(path, number, line, reading);
                r = reading_failed(reading, r);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Files. */

static int trusted(const char *path, const struct stat *st) {
        if ((st->st_uid != 0 && st->st_uid != geteuid()) || (st->st_mode & 022))
                return err_say(-EPERM,
                               "%s is writable by users other than root: run chown root and chmod go-w",
                               path);
        return 0;
}

/* Non-blocking, so that a FIFO in place of a file is refused and not waited for. */
static int file_apply(const char *path, Reading *reading) {
        _cleanup_(freep) char *text = NULL;
        _cleanup_(closep) int fd = -1;
        struct stat st;
        size_t size;
        int r;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return errno == ENOENT ? 0
                                       : err_born(-errno, "cannot read %s: make it readable, or remove it",
                                                  path);
        if (fstat(fd, &st) < 0)
                return err_born(-errno, "cannot stat %s", path);
        if (S_ISCHR(st.st_mode))
                return 0; /* a link to /dev/null: masked */
        if (!S_ISREG(st.st_mode))
                return err_say(-EINVAL, "%s is not a regular file: replace it with a file, or remove it",
                               path);
        r = trusted(path, &st);
        if (r < 0)
                return r;
        r = fd_slurp(fd, FILE_LIMIT, &text, &size);
        if (r < 0)
                return err_prefix(r, "%s: ", path);
        return text_apply(path, text, size, reading);
}

typedef struct Dropins {
        char *names[MAX_DROPINS]; /* each a whole path */
        size_t n;
} Dropins;

static void dropins_done(Dropins *d) {
        for (size_t i = 0; i < d->n; i++)
                free(d->names[i]);
}

static const char *base_name(const char *path) {
        return strrchr(path, '/') + 1;
}

static int by_base_name(const void *a, const void *b) {
        return strcmp(base_name(*(char *const *)a), base_name(*(char *const *)b));
}

static int dropin_add(Dropins *d, const char *dir, const char *name) {
        char *path = text_format("%s/%s", dir, name);

        if (!path)
                return -ENOMEM;
        for (size_t i = 0; i < d->n; i++)
                if (strcmp(base_name(d->names[i]), name) == 0) {
                        free(d->names[i]);
                        d->names[i] = path;
                        return 0;
                }
        if (d->n == MAX_DROPINS) {
                free(path);
                return err_say(-E2BIG, "%s: more than %u files", dir, MAX_DROPINS);
        }
        d->names[d->n++] = path;
        return 0;
}

static int dropins_list(Dropins *d, const char *dir) {
        _cleanup_(closedirp) DIR *handle = opendir(dir);
        struct dirent *e;
        struct stat st;
        int r;

        if (!handle)
                return errno == ENOENT ? 0 : err_born(-errno, "cannot list %s", dir);
        if (fstat(dirfd(handle), &st) < 0)
                return err_born(-errno, "cannot stat %s", dir);
        r = trusted(dir, &st);
        while (r >= 0 && (e = readdir(handle)))
                if (e->d_name[0] != '.' && ends_with(e->d_name, ".conf"))
                        r = dropin_add(d, dir, e->d_name);
        return r;
}

static int all_apply(const char *root, Reading *reading) {
        static const char *const mains[] = {"/usr/lib/carryover", "/usr/local/lib/carryover",
                                            "/etc/carryover"};
        static const char *const dirs[] = {"/usr/lib/carryover", "/usr/local/lib/carryover",
                                           "/run/carryover", "/etc/carryover"};
        _cleanup_(dropins_done) Dropins dropins = {.n = 0};
        char path[PATH_MAX];
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(mains); i++) {
                snprintf(path, sizeof path, "%s%s/carryover.conf", root, mains[i]);
                r = reading_failed(reading, file_apply(path, reading));
        }
        for (size_t i = 0; r >= 0 && i < ELEMENTS(dirs); i++) {
                snprintf(path, sizeof path, "%s%s/carryover.conf.d", root, dirs[i]);
                r = reading_failed(reading, dropins_list(&dropins, path));
        }
        if (r >= 0 && dropins.n > 0)
                qsort(dropins.names, dropins.n, sizeof dropins.names[0], by_base_name);
        for (size_t i = 0; r >= 0 && i < dropins.n; i++)
                r = reading_failed(reading, file_apply(dropins.names[i], reading));
        return r;
}

int config_load(const char *root, Config *ret) {
        Config c;
        Reading reading = {.config = &c};
        int r;

        config_defaults(&c);
        r = all_apply(root, &reading);
        if (r < 0)
                return err_pass(r);
        *ret = c;
        return 0;
}

int config_load_anyway(const char *root, Config *ret) {
        Reading reading = {.config = ret, .anyway = true};

        config_defaults(ret);
        (void)all_apply(root, &reading);
        ret->partial = reading.first.r < 0;
        if (!ret->partial)
                return 0;
        err_put_back(&reading.first);
        return err_pass(reading.first.r);
}

void config_lines_free(ConfigLine *lines, size_t n) {
        for (size_t i = 0; lines && i < n; i++) {
                free(lines[i].value);
                free(lines[i].path);
        }
        free(lines);
}

int config_lines(const char *root, ConfigLine **ret, size_t *ret_n) {
        ConfigLine *lines = calloc(ELEMENTS(settings), sizeof *lines);
        Config c;
        Reading reading = {.config = &c, .lines = lines};
        int r = lines ? 0 : -ENOMEM;

        config_defaults(&c);
        for (size_t i = 0; r >= 0 && i < ELEMENTS(settings); i++) {
                lines[i].name = settings[i].name;
                r = model_set_string(&lines[i].value, settings[i].standard);
        }
        if (r >= 0)
                r = all_apply(root, &reading);
        if (r < 0) {
                config_lines_free(lines, ELEMENTS(settings));
                return err_pass(r);
        }
        *ret = lines;
        *ret_n = ELEMENTS(settings);
        return 0;
}
