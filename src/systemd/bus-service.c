/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * On a direct connection PID 1 sends all its signals once we have subscribed, and references to units are
 * not to be had. So the status comes out of the service's PropertiesChanged, which PID 1 sends before it
 * drops the unit; a question afterwards would come too late.
 */

#include "systemd/bus-service.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#define SYSTEMD      "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER      SYSTEMD ".Manager"
#define SERVICE      SYSTEMD ".Service"

struct TtyService {
        sd_bus *bus;
        char *unit, *path; /* object path of the unit */
        char *job;
        char result[32];  /* of the job, empty while it runs */
        int code, status; /* CLD_EXITED ... and what goes with it; code 0 while it runs */
};

TtyService *bus_tty_service_free(TtyService *s) {
        if (s) {
                sd_bus_flush_close_unref(s->bus);
                free(s->unit);
                free(s->path);
                free(s->job);
                free(s);
        }
        return NULL;
}

static void error_free(sd_bus_error *e) {
        sd_bus_error_free(e);
}

static void message_unrefp(sd_bus_message **m) {
        sd_bus_message_unref(*m);
}

static int connect_private(TtyService *s) {
        _cleanup_(error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_new(&s->bus);
        if (r >= 0)
                r = sd_bus_set_address(s->bus, "unix:path=/run/systemd/private");
        if (r >= 0)
                r = sd_bus_start(s->bus);
        if (r >= 0)
                r = sd_bus_call_method(s->bus, SYSTEMD, MANAGER_PATH, MANAGER, "Subscribe", &error, NULL,
                                       "");
        return r < 0 ? err_born(r, "cannot talk to systemd over /run/systemd/private") : 0;
}

static int append_strv(sd_bus_message *m, const char *name, const char *const *values) {
        int r;

        r = sd_bus_message_open_container(m, 'r', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", name);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_append_strv(m, (char **)values);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_properties(sd_bus_message *m, const TtyServiceSpec *spec) {
        _cleanup_(freep) char *directory = text_format("-%s", spec->directory); /* "-": fine if missing */
        int r;

        if (!directory)
                return -ENOMEM;
        r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)", "Description",
                                          "s", spec->description, "Type", "s", "exec", "User", "s",
                                          spec->user, "WorkingDirectory", "s", directory, "StandardInput",
                                          "s", "tty", "StandardOutput", "s", "tty", "StandardError", "s",
                                          "tty", "TTYPath", "s", spec->tty, "SendSIGHUP", "b", 1,
                                          "CollectMode", "s", "inactive-or-failed",
                                          /* a service ignores it by default, and a shell hands that down */
                                          "IgnoreSIGPIPE", "b", 0);
        if (r >= 0)
                r = append_strv(m, "Environment", spec->environment);
        if (r >= 0 && spec->slice)
                r = sd_bus_message_append(m, "(sv)", "Slice", "s", spec->slice);
        if (r >= 0)
                r = sd_bus_message_append(m, "(sv)", "ExecStart", "a(sasb)", 1, spec->executable, 1,
                                          spec->argv0, 0);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int request(TtyService *s, const TtyServiceSpec *spec) {
        _cleanup_(message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_(error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        const char *job = NULL;
        int r;

        r = sd_bus_message_new_method_call(s->bus, &m, SYSTEMD, MANAGER_PATH, MANAGER, "StartTransientUnit");
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", spec->unit, "fail");
        if (r >= 0)
                r = append_properties(m, spec);
        if (r >= 0)
                r = sd_bus_message_append(m, "a(sa(sv))", 0);
        if (r >= 0)
                r = sd_bus_call(s->bus, m, 0, &error, &reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "o", &job);
        if (r < 0)
                return err_say(r, "systemd: cannot start %s: %s", spec->unit,
                               error.message ? error.message : strerror(-r));
        s->job = strdup(job);
        return s->job ? 0 : -ENOMEM;
}

/* The changes of the service's own interface: a{sv}, of which two are ours. */
static int read_changes(TtyService *s, sd_bus_message *m) {
        const char *interface, *key;
        int r;

        r = sd_bus_message_read(m, "s", &interface);
        if (r < 0 || strcmp(interface, SERVICE) != 0)
                return r;
        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &key);
                if (r >= 0 && strcmp(key, "ExecMainCode") == 0)
                        r = sd_bus_message_read(m, "v", "i", &s->code);
                else if (r >= 0 && strcmp(key, "ExecMainStatus") == 0)
                        r = sd_bus_message_read(m, "v", "i", &s->status);
                else if (r >= 0)
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r;
}

static int take_message(TtyService *s, sd_bus_message *m) {
        const char *job, *result;
        int r = 0;

        if (sd_bus_message_is_signal(m, MANAGER, "JobRemoved") > 0) {
                r = sd_bus_message_read(m, "uoss", NULL, &job, NULL, &result);
                if (r >= 0 && s->job && strcmp(job, s->job) == 0)
                        snprintf(s->result, sizeof s->result, "%s", result);
        } else if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.Properties", "PropertiesChanged") > 0 &&
                   strcmp(sd_bus_message_get_path(m) ?: "", s->path) == 0)
                r = read_changes(s, m);
        return r < 0 ? err_born(r, "systemd sent an invalid signal") : 0;
}

int bus_tty_service_process(TtyService *s) {
        for (;;) {
                _cleanup_(message_unrefp) sd_bus_message *m = NULL;
                int r = sd_bus_process(s->bus, &m);

                if (r < 0)
                        return err_born(r, "the connection to systemd failed");
                if (r == 0)
                        return s->code != 0;
                r = m ? take_message(s, m) : 0;
                if (r < 0)
                        return err_pass(r);
        }
}

static int wait_for_news(TtyService *s, uint64_t deadline) {
        uint64_t now = now_monotonic();
        int r;

        if (now >= deadline)
                return err_born(-ETIMEDOUT, "systemd did not report on %s in time", s->unit);
        r = sd_bus_wait(s->bus, deadline - now);
        return r < 0 && r != -EINTR ? err_born(r, "the connection to systemd failed") : 0;
}

int bus_tty_service_start(const TtyServiceSpec *spec, uint64_t deadline, TtyService **ret) {
        _cleanup_(tty_service_freep) TtyService *s = calloc(1, sizeof *s);
        int r;

        if (!s)
                return -ENOMEM;
        s->unit = strdup(spec->unit);
        if (!s->unit || sd_bus_path_encode("/org/freedesktop/systemd1/unit", spec->unit, &s->path) < 0)
                return -ENOMEM;
        r = connect_private(s);
        if (r >= 0)
                r = request(s, spec);
        while (r >= 0 && (r = bus_tty_service_process(s)) >= 0 && !s->result[0])
                r = wait_for_news(s, deadline);
        if (r < 0)
                return err_pass(r);
        if (strcmp(s->result, "done") != 0)
                return err_say(-EIO, "systemd: starting %s failed with result '%s': see journalctl -u %s",
                               spec->unit, s->result, spec->unit);
        *ret = TAKE(s);
        return 0;
}

int bus_tty_service_fd(TtyService *s) {
        return sd_bus_get_fd(s->bus);
}

int bus_tty_service_wait(TtyService *s, uint64_t deadline, int *ret) {
        int r;

        while ((r = bus_tty_service_process(s)) == 0) {
                r = wait_for_news(s, deadline);
                if (r < 0)
                        break;
        }
        if (r < 0)
                return err_pass(r);
        *ret = s->code == CLD_EXITED ? s->status : 128 + s->status;
        return 0;
}
