/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * It waits with no descriptor open but the terminal's, and looks for two files five times a second: a watch
 * or a connection would be one more thing that has to be carried, and the wait is over a minute after it
 * began.
 */

#include "report/wait.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "kernel/ids.h"
#include "report/report.h"
#include "report/style.h"
#include "report/text.h"
#include "store/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define LOOK_NSEC 200000000L /* the answer is shown at most this late */

/*
 * Whether it is worth to be opened. What this process has open in the moment of its freeze must be there,
 * unchanged, in the next kernel, and neither of these files is: so they are not opened while nothing
 * happens.
 */
static bool has_changed(const char *path, Sight *sight) {
        Sight now = {0};
        struct stat st;
        bool changed;

        if (lstat(path, &st) >= 0)
                now = (Sight){.ino = st.st_ino, .size = st.st_size, .changed = st.st_ctim};
        changed = now.ino != sight->ino || now.size != sight->size ||
                  now.changed.tv_sec != sight->changed.tv_sec ||
                  now.changed.tv_nsec != sight->changed.tv_nsec;
        *sight = now;
        return changed;
}

static void clear_line(Wait *w) {
        static const char clear[] = "\r\033[K";

        if (w->seconds > 0)
                (void)fd_write_all(STDOUT_FILENO, clear, strlen(clear));
        w->seconds = 0;
}

static void show_progress(Wait *w) {
        _cleanup_(closep) int fd = -1;
        char buffer[1024], boot[37];
        ssize_t n;

        if (!has_changed(RUN_PROGRESS, &w->progress) || system_boot_id(boot) < 0)
                return;
        fd = open(RUN_PROGRESS, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return;
        if (strcmp(boot, w->boot) != 0)
                w->offset = 0;
        memcpy(w->boot, boot, sizeof boot);
        while ((n = pread(fd, buffer, sizeof buffer, w->offset)) > 0) {
                clear_line(w);
                (void)fd_write_all(STDOUT_FILENO, buffer, (size_t)n);
                w->offset += n;
        }
}

static bool in_store(const Config *config, const char *name) {
        char path[sizeof config->store + 32];

        snprintf(path, sizeof path, "%s/%s", config->store, name);
        return access(path, F_OK) >= 0;
}

/* The request lives until the save has stopped, or as long as its boot; then a ticket waits until its
 * restore has reported, or could not. */
static bool answer_may_come(const Config *config) {
        if (access(RUN_REQUEST, F_OK) >= 0 || in_store(config, "ticket"))
                return true;
        return in_store(config, "ticket.claimed") && access(RUN_UNREPORTED, F_OK) < 0;
}

/* Ours; but one that was written because the next shutdown began tells less than the report that follows it,
 * which takes its place. */
static bool is_answer(const Wait *w, const Ticket *report, bool last) {
        if (report->has_request_at && report->request_at == w->request)
                return last || report_verdict(report) != REPORT_PENDING;
        return last && report->has_done_at && report->sealed_at > w->request;
}

/* The report that answers our request, or answer 1: not yet. */
static int answer(Wait *w, Ticket **ret) {
        _cleanup_(store_close) Store store = {.fd = -1};
        _cleanup_(ticket_freep) Ticket *report = NULL;
        bool last = !answer_may_come(w->config); /* asked first: the report is written before these go */
        char path[sizeof w->config->store + 32];
        int r;

        snprintf(path, sizeof path, "%s/report", w->config->store);
        if (!has_changed(path, &w->report) && !last)
                return 1;
        r = store_open(w->config, &store);
        if (r >= 0)
                r = store_report(&store, &report);
        if (r < 0)
                return err_pass(r);
        if (r == 0 && is_answer(w, report, last)) {
                *ret = TAKE(report);
                return 0;
        }
        if (last && w->interrupted && run_called_off()) /* before a save began, by somebody else */
                return err_say(-ECANCELED, "not rebooted, all trees continue to run: " CANCELLED);
        return last ? err_say(-ENODATA, "no answer: see journalctl -u carryover -u carryover-restore") : 1;
}

static bool is_back(const Ticket *report, const char *name) {
        const Tree *tree = ticket_find(report, name);

        return tree && tree->outcome && tree->outcome->state == OUTCOME__STATE__CARRIED;
}

/* What the save or the restore waits for, as it says itself; NULL: it does not. */
static char *told_to_wait_for(const char *before) {
        _cleanup_(freep) char *told = NULL;
        char text[512];
        ssize_t n = readlink(RUN_WAITS_FOR, text, sizeof text - 1);

        if (n <= 0)
                return NULL;
        text[n] = '\0';
        told = text_printable(text);
        return told ? text_format("%s%s", before, told) : NULL;
}

static char *what(const Wait *w) {
        if (!w->interrupted || in_store(w->config, "ticket.claimed"))
                return told_to_wait_for("the restore of ") ?: strdup("the restore");
        if (run_called_off())
                return strdup("the save to release the trees");
        if (in_store(w->config, "ticket"))
                return strdup("the shutdown");
        return told_to_wait_for("services to stop: ") ?: strdup("the save");
}

/* As wide as the terminal at most: a line that is broken cannot be written over. */
static size_t columns(void) {
        struct winsize size = {0};

        return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1u : 79;
}

/* "waiting for services to stop: nginx.service (3 s)". */
static void show_line(Wait *w) {
        uint64_t now = now_realtime(), since = now > w->request ? now - w->request : 0;
        unsigned seconds = (unsigned)(since / USEC_PER_SEC) + 1;
        _cleanup_(freep) char *text = NULL, *line = NULL;
        char end[32];
        int room;

        if (seconds == w->seconds || !report_style().colour)
                return;
        text = what(w);
        snprintf(end, sizeof end, " (%u s)", seconds - 1);
        room = (int)columns() - (int)strlen("waiting for ") - (int)strlen(end);
        line = text && room > 0 ? text_format("\r\033[Kwaiting for %.*s%s", room, text, end) : NULL;
        if (!line || fd_write_all(STDOUT_FILENO, line, strlen(line)) < 0)
                return;
        w->seconds = seconds;
}

void wait_say_late(const Wait *w) {
        char boot[37];
        struct utsname u;

        if (in_store(w->config, "ticket"))
                fprintf(stderr, "carryover: " CANCEL_LATE "\n");
        else if (!in_store(w->config, "ticket.claimed"))
                return;
        else if (system_boot_id(boot) >= 0 && strcmp(boot, w->first_boot) != 0 && uname(&u) >= 0)
                fprintf(stderr,
                        "carryover: too late to cancel: this session was carried into Linux %s; its report "
                        "follows\n",
                        u.release);
        else
                fprintf(stderr, "carryover: too late to cancel: the save was sealed; its report follows\n");
}

static ExitStatus fail(int r) {
        fprintf(stderr, "carryover: %s\n", err_text(r));
        return EXIT_FAILED;
}

static void look_for_interrupt(Wait *w) {
        if (!w->interrupted || !interrupt_caught())
                return;
        clear_line(w);
        interrupt_release();
        w->interrupted(w);
}

ExitStatus wait_answer(Wait *w, const char *tree) {
        _cleanup_(ticket_freep) Ticket *report = NULL;
        int r;

        for (;;) {
                struct timespec pause = {.tv_nsec = LOOK_NSEC};

                show_progress(w);
                r = answer(w, &report);
                if (r <= 0)
                        break;
                look_for_interrupt(w);
                show_line(w);
                /* EINTR is the restore itself (docs/CRIU.md, "Time"): look at once. */
                (void)nanosleep(&pause, NULL);
        }
        clear_line(w);
        if (r < 0)
                return fail(r);
        if (report->stopped && report_verdict(report) == REPORT_STOPPED) {
                fprintf(stderr, "carryover: not rebooted, all trees continue to run: %s\n", report->stopped);
                return EXIT_FAILED;
        }
        report_answer(stdout, report, report_style().colour);
        return (tree ? is_back(report, tree) : report_ok(report)) ? EXIT_OK : EXIT_FAILED;
}

/* An older save's lines are not ours. */
Wait wait_begin(const Config *config, uint64_t request) {
        Wait w = {.config = config, .request = request};

        (void)has_changed(RUN_PROGRESS, &w.progress);
        w.offset = w.progress.size;
        (void)system_boot_id(w.boot); /* unknown: everything is shown */
        memcpy(w.first_boot, w.boot, sizeof w.boot);
        return w;
}
