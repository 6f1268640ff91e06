/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * When a restore goes wrong nobody can log in to look, or nobody is there to: so the report leaves the
 * machine by what the administrator has put into /etc/carryover/report.d. That is done by a unit of its own,
 * since the network is long in coming and a restore must not wait for it.
 */

#include "flow/send.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "files/config.h"
#include "flow/flow.h"
#include "report/report.h"
#include "send/send.h"
#include "systemd/bus.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/param.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRAMS     "/etc/carryover/report.d"
#define SEND_UNIT    "carryover-report.service"
#define SEND_TIMEOUT (60 * USEC_PER_SEC) /* for each; the unit has one for all */
#define LOG_MAX      (1u << 20)          /* of each log its end: it says last what went wrong */
#define LOGS_MAX     (16u << 20)         /* of all: they lie in memory, and a user may have many trees */

/* Answer 1: there is none, or none that shall be sent (any more). */
static int due(const Config *config, const Store *store, Ticket **ret) {
        _cleanup_(ticket_freep) Ticket *report = NULL;
        int r = store_report(store, &report);

        if (r != 0)
                return r;
        if (report_verdict(report) == REPORT_PENDING || (config->send_failed && report_trees_ok(report)) ||
            store_report_was_sent(store, report))
                return 1;
        *ret = TAKE(report);
        return 0;
}

static int start(void) {
        _cleanup_(bus_closep) Bus *manager = NULL;
        const char *action = NULL;
        int r = bus_open_manager(&manager);

        if (r >= 0)
                r = bus_shutdown_action(manager, &action);
        if (r < 0 || action)
                return r < 0 ? err_pass(r) : 0;
        return bus_start_unit(manager, SEND_UNIT, false);
}

void send_ask(const Config *config, const Store *store) {
        _cleanup_(ticket_freep) Ticket *report = NULL;
        int r;

        if (store->fd < 0 || !send_is_wanted(PROGRAMS))
                return;
        r = due(config, store, &report);
        if (r == 0)
                r = start();
        log_failed(r, "the report is not passed to " PROGRAMS);
}

/* The end of one log. CRIU is not asked to write down what processes have in their memory. */
static int log_pass_on(const Store *store, const char *images, const char *tree, const char *name, int to,
                       size_t *left) {
        _cleanup_(freep) char *from = text_format("%s/%s", images, name), *as = NULL, *text = NULL;
        _cleanup_(closep) int fd = -1;
        size_t most = MIN(LOG_MAX, *left);
        struct stat st;
        ssize_t n;

        as = text_format("%s.%s", tree, name);
        text = malloc(most + 1);
        if (!from || !as || !text)
                return -ENOMEM;
        fd = open_beneath(store->fd, from, O_RDONLY | O_NONBLOCK, 0);
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return fd < 0 && fd != -ENOENT ? err_born(fd, "cannot open %s", from) : 0;
        n = pread(fd, text, most, st.st_size > (off_t)most ? st.st_size - (off_t)most : 0);
        if (n < 0)
                return err_born(-errno, "cannot read %s", from);
        *left -= (size_t)n;
        return file_replace_early(to, as, text, (size_t)n);
}

/* Where the images of a tree are, below the store; those of a failed save were left there without a word in
 * the report. */
static char *images_of(const Store *store, const Tree *tree) {
        const char *path = tree->outcome ? tree->outcome->images : NULL;
        size_t l = strlen(store->path);

        return path && starts_with(path, store->path) && path[l] == '/'
                               ? strdup(path + l + 1)
                               : text_format("failed/last/%s", tree->name);
}

static int logs_pass_on(const Store *store, const Ticket *report, const char *directory) {
        static const char *const names[] = {"dump.log", "restore.log"};
        _cleanup_(closep) int to = open_dirs(directory, 0700);
        size_t left = LOGS_MAX;
        int r = to < 0 ? to : 0;

        for (size_t i = 0; r >= 0 && i < report->n_trees; i++) {
                const Tree *tree = report->trees[i];
                _cleanup_(freep) char *images = images_of(store, tree);

                if (report_state(tree) == OUTCOME__STATE__CARRIED || !name_is_safe(tree->name))
                        continue;
                for (size_t k = 0; r >= 0 && k < ELEMENTS(names); k++)
                        r = images ? log_pass_on(store, images, tree->name, names[k], to, &left) : -ENOMEM;
        }
        return r;
}

static int write_json(FILE *out, const void *userdata) {
        return err_pass(report_json(out, userdata, NULL, false));
}

static void say(const char *sentence) {
        log_warning("%s", sentence);
}

static int send_report(const Store *store, const Ticket *report, const char *logs, size_t *ret_failed) {
        _cleanup_(freep) char *text = NULL;
        Sending sending = {.directory = PROGRAMS, .logs = logs, .timeout_usec = SEND_TIMEOUT};
        int r = text_written(write_json, report, &text);

        if (r < 0)
                return r;
        log_failed(logs_pass_on(store, report, logs), "the report is sent without all logs");
        sending.text = text;
        r = send_all(&sending, say, ret_failed);
        return r < 0 ? r : store_report_sent(store, report);
}

ExitStatus flow_send(void) {
        const char *logs = getenv("RUNTIME_DIRECTORY"); /* the unit has it made, and removed */
        _cleanup_(ticket_freep) Ticket *report = NULL;
        _cleanup_(store_close) Store store = {.fd = -1};
        size_t failed = 0;
        Config config;
        int r;

        if (!logs || logs[0] != '/') {
                log_error("carryover-report must be run by " SEND_UNIT);
                return EXIT_USAGE;
        }
        log_failed(config_load_anyway("", &config), "using the readable files and defaults");
        r = store_open(&config, &store);
        if (r >= 0)
                r = due(&config, &store, &report);
        if (r == 0)
                r = send_report(&store, report, logs, &failed);
        if (r < 0)
                return flow_fail(r);
        return failed > 0 ? EXIT_FAILED : EXIT_OK;
}
