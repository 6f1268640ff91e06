/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * PID 1 over its private socket. There is no daemon in between that could be stopped already (late shutdown)
 * or not started yet (early boot); the price is that only root gets in, which is who we are.
 */

#include "systemd/bus.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/lock.h"
#include "base/text.h"
#include "systemd/bus-unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <systemd/sd-bus.h>

#define SYSTEMD      "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER      "org.freedesktop.systemd1.Manager"

/* Generators run in it. */
#define RELOAD_TIMEOUT (90 * USEC_PER_SEC)

struct Bus {
        pthread_mutex_t lock; /* around each call: who waits for a signal must get it */
        sd_bus *bus;
        bool subscribed;
};

static int failed(int r, const sd_bus_error *error, const char *what, const char *on) {
        return err_say(r, "systemd: cannot %s %s: %s", what, on,
                       error && error->message ? error->message : strerror(-r));
}

int bus_open_manager(Bus **ret) {
        _cleanup_(bus_closep) Bus *b = calloc(1, sizeof *b);
        int r;

        if (!b)
                return -ENOMEM;
        pthread_mutex_init(&b->lock, NULL);
        r = sd_bus_new(&b->bus);
        if (r >= 0)
                r = sd_bus_set_address(b->bus, "unix:path=/run/systemd/private");
        if (r >= 0)
                r = sd_bus_start(b->bus);
        if (r < 0)
                return err_born(r, "cannot talk to systemd over /run/systemd/private");
        *ret = TAKE(b);
        return 0;
}

Bus *bus_close(Bus *b) {
        if (b) {
                sd_bus_flush_close_unref(b->bus);
                pthread_mutex_destroy(&b->lock);
                free(b);
        }
        return NULL;
}

static void error_free(sd_bus_error *e) {
        sd_bus_error_free(e);
}

static void strv_freep(char ***p) {
        for (char **s = *p; s && *s; s++)
                free(*s);
        free(*p);
}

static int unit_job(Bus *b, const char *method, const char *unit, const char *mode) {
        _locked_ pthread_mutex_t *locked = lock(&b->lock);
        _cleanup_(error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = sd_bus_call_method(b->bus, SYSTEMD, MANAGER_PATH, MANAGER, method, &error, NULL, "ss", unit,
                                   mode);

        return r < 0 ? failed(r, &error, method, unit) : 0;
}

int bus_start_unit(Bus *b, const char *unit, bool irreversible) {
        return unit_job(b, "StartUnit", unit, irreversible ? "replace-irreversibly" : "replace");
}

int bus_start_unit_now(Bus *b, const char *unit) {
        return unit_job(b, "StartUnit", unit, "ignore-dependencies");
}

int bus_restart_unit(Bus *b, const char *unit) {
        return unit_job(b, "RestartUnit", unit, "replace");
}

int bus_try_restart_unit(Bus *b, const char *unit) {
        return unit_job(b, "TryRestartUnit", unit, "replace");
}

int bus_reset_unit(Bus *b, const char *unit) {
        _locked_ pthread_mutex_t *locked = lock(&b->lock);
        _cleanup_(error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = sd_bus_call_method(b->bus, SYSTEMD, MANAGER_PATH, MANAGER, "ResetFailedUnit", &error, NULL,
                                   "s", unit);

        if (r < 0 && !sd_bus_error_has_name(&error, SYSTEMD ".NoSuchUnit"))
                return failed(r, &error, "reset", unit);
        return 0;
}

int bus_unit_property(Bus *b, const char *unit, const char *interface, const char *property, char **ret) {
        _locked_ pthread_mutex_t *locked = lock(&b->lock);
        _cleanup_(error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(freep) char *path = NULL;
        int r;

        r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path);
        if (r >= 0)
                r = sd_bus_get_property_string(b->bus, SYSTEMD, path, interface, property, &error, ret);
        return r < 0 ? failed(r, &error, property, unit) : 0;
}

static int unit_list(Bus *b, const char *unit, const char *property, char ***ret) {
        _locked_ pthread_mutex_t *locked = lock(&b->lock);
        _cleanup_(error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(freep) char *path = NULL;
        int r;

        r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path);
        if (r >= 0)
                r = sd_bus_get_property_strv(b->bus, SYSTEMD, path, SYSTEMD ".Unit", property, &error, ret);
        return r < 0 ? failed(r, &error, property, unit) : 0;
}

int bus_unit_is_before(Bus *b, const char *unit, const char *other) {
        _cleanup_(strv_freep) char **units = NULL;
        bool found = false;
        int r = unit_list(b, unit, "Before", &units);

        if (r < 0)
                return err_pass(r);
        for (char **p = units; p && *p && !found; p++)
                found = strcmp(*p, other) == 0;
        return found;
}

int bus_unit_has_any(Bus *b, const char *unit, const char *property) {
        _cleanup_(strv_freep) char **units = NULL;
        int r = unit_list(b, unit, property, &units);

        return r < 0 ? err_pass(r) : units && units[0];
}

int bus_unit_properties(Bus *b, const char *unit, const char *interface, sd_bus_message **ret) {
        _locked_ pthread_mutex_t *locked = lock(&b->lock);
        _cleanup_(error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(freep) char *path = NULL;
        int r;

        r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path);
        if (r >= 0)
                r = sd_bus_call_method(b->bus, SYSTEMD, path, "org.freedesktop.DBus.Properties", "GetAll",
                                       &error, ret, "s", interface);
        return r < 0 ? failed(r, &error, "inspect", unit) : 0;
}

int bus_reload(Bus *b) {
        _locked_ pthread_mutex_t *locked = lock(&b->lock);
        _cleanup_(error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_set_method_call_timeout(b->bus, RELOAD_TIMEOUT);
        if (r >= 0)
                r = sd_bus_call_method(b->bus, SYSTEMD, MANAGER_PATH, MANAGER, "Reload", &error, NULL, "");
        return r < 0 ? failed(r, &error, "reload", "its unit files") : 0;
}

typedef struct Job {
        const char *unit, *state, *type;
} Job;

/* Calls found() for each job of the manager; the strings live as long as the call. */
static int for_each_job(Bus *b, void (*found)(const Job *job, void *userdata), void *userdata) {
        _cleanup_(error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m = NULL;
        Job job;
        int r;

        r = sd_bus_call_method(b->bus, SYSTEMD, MANAGER_PATH, MANAGER, "ListJobs", &error, &m, "");
        if (r < 0)
                return failed(r, &error, "list", "jobs");
        r = sd_bus_message_enter_container(m, 'a', "(usssoo)");
        while (r >= 0 && (r = sd_bus_message_read(m, "(usssoo)", NULL, &job.unit, &job.type, &job.state,
                                                  NULL, NULL)) > 0)
                found(&job, userdata);
        sd_bus_message_unref(m);
        return r < 0 ? err_born(r, "systemd sent an invalid list of jobs") : 0;
}

static void look_for_shutdown(const Job *job, void *userdata) {
        static const char *const actions[] = {"kexec", "reboot", "poweroff", "halt", "soft-reboot"};
        const char **action = userdata;

        if (strcmp(job->type, "start") != 0 || !ends_with(job->unit, ".target"))
                return;
        for (size_t i = 0; i < ELEMENTS(actions); i++)
                if (strlen(job->unit) == strlen(actions[i]) + strlen(".target") &&
                    starts_with(job->unit, actions[i]))
                        *action = actions[i];
}

int bus_shutdown_action(Bus *b, const char **ret) {
        _locked_ pthread_mutex_t *locked = lock(&b->lock);
        const char *action = NULL;
        int r = for_each_job(b, look_for_shutdown, &action);

        if (r < 0)
                return err_pass(r);
        *ret = action;
        return 0;
}

int bus_soft_reboots(Bus *b, uint32_t *ret) {
        _locked_ pthread_mutex_t *locked = lock(&b->lock);
        _cleanup_(error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        uint32_t n = 0;
        int r = sd_bus_get_property_trivial(b->bus, SYSTEMD, MANAGER_PATH, MANAGER, "SoftRebootsCount",
                                            &error, 'u', &n);

        if (r < 0)
                return sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_PROPERTY)
                                       ? 1
                                       : failed(r, &error, "count", "soft-reboots");
        *ret = n;
        return 0;
}

static int clear_jobs(Bus *b) {
        _locked_ pthread_mutex_t *locked = lock(&b->lock);
        _cleanup_(error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = sd_bus_call_method(b->bus, SYSTEMD, MANAGER_PATH, MANAGER, "ClearJobs", &error, NULL, "");

        return r < 0 ? failed(r, &error, "clear", "the shutdown's jobs") : 0;
}

int bus_cancel_shutdown(Bus *b) {
        int r = clear_jobs(b);

        return r < 0 ? err_pass(r) : bus_start_unit(b, "default.target", false);
}

typedef struct Busy {
        const char *own;
        size_t n;
        char names[256];
} Busy;

/* A job that waits is ordered behind us, or behind something that runs and is counted itself. */
static void look_for_running(const Job *job, void *userdata) {
        Busy *busy = userdata;
        size_t l = strlen(busy->names);

        if (strcmp(job->state, "running") != 0 || strcmp(job->unit, busy->own) == 0)
                return;
        busy->n++;
        snprintf(busy->names + l, sizeof busy->names - l, "%s%s", l ? ", " : "", job->unit);
}

static int subscribe(Bus *b) {
        _cleanup_(error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        if (b->subscribed)
                return 0;
        r = sd_bus_call_method(b->bus, SYSTEMD, MANAGER_PATH, MANAGER, "Subscribe", &error, NULL, "");
        if (r < 0 && !sd_bus_error_has_name(&error, SYSTEMD ".AlreadySubscribed"))
                return failed(r, &error, "subscribe to", "its signals");
        b->subscribed = true;
        return 0;
}

/* Handles one message, waiting for it until the deadline. -ETIMEDOUT (without a sentence) when there is
 * none. */
static int next_message(Bus *b, uint64_t deadline, sd_bus_message **ret) {
        for (;;) {
                uint64_t now = now_monotonic();
                int r = sd_bus_process(b->bus, ret);

                if (r < 0)
                        return err_born(r, "the connection to systemd failed");
                if (r > 0 && *ret)
                        return 0;
                if (r > 0)
                        continue;
                if (now >= deadline)
                        return -ETIMEDOUT;
                r = sd_bus_wait(b->bus, deadline - now);
                if (r < 0 && r != -EINTR)
                        return err_born(r, "the connection to systemd failed");
        }
}

/* Any change of any job is a reason to look again; the signal itself is not needed. */
static int wait_for_job_change(Bus *b, uint64_t deadline) {
        for (;;) {
                sd_bus_message *m = NULL;
                bool hit;
                int r = next_message(b, deadline, &m);

                if (r < 0)
                        return r;
                hit = sd_bus_message_is_signal(m, MANAGER, "JobRemoved") > 0;
                sd_bus_message_unref(m);
                if (hit)
                        return 0;
        }
}

/* Nobody announces that a save is called off. */
#define ASK_AGAIN (USEC_PER_SEC / 2)

int bus_wait_settled(Bus *b, const char *own_unit, uint64_t deadline, bool (*go_on)(const char *busy)) {
        _locked_ pthread_mutex_t *locked = lock(&b->lock);
        int r = subscribe(b);

        if (r < 0)
                return err_pass(r);
        for (;;) {
                Busy busy = {.own = own_unit};
                uint64_t now;

                r = for_each_job(b, look_for_running, &busy);
                if (r < 0)
                        return err_pass(r);
                if (busy.n == 0)
                        return 0;
                if (go_on && !go_on(busy.names))
                        return err_say(-ECANCELED, "nothing waits for them any more: %s", busy.names);
                now = now_monotonic();
                r = wait_for_job_change(b, MIN(deadline, now + ASK_AGAIN));
                if (r == -ETIMEDOUT && now + ASK_AGAIN < deadline)
                        continue;
                if (r == -ETIMEDOUT)
                        return err_say(-ETIMEDOUT, "jobs still running: %s", busy.names);
                if (r < 0)
                        return err_pass(r);
        }
}

static int append_limit(sd_bus_message *m, const char *property, protobuf_c_boolean has, uint64_t value) {
        return has ? sd_bus_message_append(m, "(sv)", property, "t", value) : 0;
}

/* TasksMax= has a default, which is no limit of anybody's. */
static int append_limits(sd_bus_message *m, const Limits *l) {
        int r = append_limit(m, "TasksMax", true, l->has_tasks_max ? l->tasks_max : UINT64_MAX);

        if (r >= 0)
                r = append_limit(m, "MemoryMax", l->has_memory_max, l->memory_max);
        if (r >= 0)
                r = append_limit(m, "MemoryHigh", l->has_memory_high, l->memory_high);
        if (r >= 0)
                r = append_limit(m, "MemorySwapMax", l->has_memory_swap_max, l->memory_swap_max);
        if (r >= 0)
                r = append_limit(m, "CPUQuotaPerSecUSec", l->has_cpu_per_sec, l->cpu_per_sec);
        return r < 0 ? r : append_limit(m, "CPUQuotaPeriodUSec", l->has_cpu_period, l->cpu_period);
}

static int append_scope(sd_bus_message *m, const char *slice, const char *description, pid_t pid,
                        const Limits *limits) {
        const Limits none = LIMITS__INIT;
        int r;

        r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)", "Before", "as", 1,
                                          "carryover.service", "Description", "s", description, "Slice", "s",
                                          slice, "SendSIGHUP", "b", 1, "PIDs", "au", 1, (uint32_t)pid,
                                          "CollectMode", "s", "inactive-or-failed");
        if (r >= 0)
                r = append_limits(m, limits ?: &none);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int scope_ask(Bus *b, BusScope *s) {
        sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(b->bus, &m, SYSTEMD, MANAGER_PATH, MANAGER, "StartTransientUnit");
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", s->name, "ignore-dependencies");
        if (r >= 0)
                r = append_scope(m, s->slice, s->description, s->pid, s->limits);
        if (r >= 0)
                r = sd_bus_message_append(m, "a(sa(sv))", 0);
        if (r >= 0)
                r = sd_bus_send(b->bus, m, &s->cookie);
        sd_bus_message_unref(m);
        return r < 0 ? failed(r, NULL, "start", s->name) : 0;
}

/* The answer to what was asked: its job. */
static int scope_answer(BusScope *s, sd_bus_message *m) {
        const char *job;
        int r;

        if (sd_bus_message_is_method_error(m, NULL) > 0)
                return failed(-sd_bus_message_get_errno(m), sd_bus_message_get_error(m), "start", s->name);
        r = sd_bus_message_read(m, "o", &job);
        if (r < 0)
                return failed(r, NULL, "start", s->name);
        s->job = strdup(job);
        return s->job ? 1 : -ENOMEM;
}

/* What a message says of a scope: 0 that it runs, 1 nothing about its end. */
static int scope_told(BusScope *s, sd_bus_message *m) {
        const char *job, *result;
        uint64_t cookie;

        if (sd_bus_message_get_reply_cookie(m, &cookie) >= 0)
                return cookie == s->cookie ? scope_answer(s, m) : 1;
        if (!s->job || sd_bus_message_is_signal(m, MANAGER, "JobRemoved") <= 0 ||
            sd_bus_message_rewind(m, true) < 0 ||
            sd_bus_message_read(m, "uoss", NULL, &job, NULL, &result) < 0 || strcmp(job, s->job) != 0)
                return 1;
        if (strcmp(result, "done") == 0)
                return 0;
        return err_say(-EIO, "systemd: starting %s failed with result '%s'", s->name, result);
}

static int scopes_ask(Bus *b, BusScope *s) {
        _locked_ pthread_mutex_t *locked = lock(&b->lock);
        int r = subscribe(b);

        return r < 0 ? err_pass(r) : scope_ask(b, s);
}

/* One message: 0 or an error of the scope that it ends, 1, or an error that is none of theirs (*ret: n). */
static int scopes_wait(Bus *b, BusScope *scopes, size_t n, uint64_t deadline, size_t *ret) {
        _locked_ pthread_mutex_t *locked = lock(&b->lock);
        sd_bus_message *m = NULL;
        int r = next_message(b, deadline, &m);

        *ret = n;
        if (r < 0)
                return r;
        r = 1;
        for (size_t i = 0; i < n && r > 0; i++) {
                r = scopes[i].ended ? 1 : scope_told(scopes + i, m);
                *ret = r <= 0 ? i : n;
        }
        sd_bus_message_unref(m);
        return r;
}

void bus_start_scopes(Bus *b, BusScope *scopes, size_t n, uint64_t deadline, BusScopeEnd ended,
                      void *userdata) {
        size_t left = n, i;
        int r = 0;

        for (i = 0; i < n; i++) {
                r = scopes_ask(b, scopes + i);
                if (r >= 0)
                        continue;
                scopes[i].ended = true;
                left--;
                ended(i, r, userdata);
        }
        while (left > 0) {
                r = scopes_wait(b, scopes, n, deadline, &i);
                if (r < 0 && i == n)
                        break;
                if (r > 0)
                        continue;
                scopes[i].ended = true;
                left--;
                ended(i, r, userdata);
        }
        for (i = 0; i < n; i++) {
                free(TAKE(scopes[i].job));
                if (!scopes[i].ended)
                        ended(i, err_born(r, "systemd did not start %s", scopes[i].name), userdata);
        }
}

/* A systemd that is older, or knows no such property, restricts nothing by it. */
int bus_service_restricts_files(Bus *b, const char *service) {
        _locked_ pthread_mutex_t *locked = lock(&b->lock);
        _cleanup_(error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(strv_freep) char **list = NULL;
        _cleanup_(freep) char *path = NULL;
        sd_bus_message *m = NULL;
        int r, allow = 0;

        r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", service, &path);
        if (r < 0)
                return failed(r, &error, "inspect", service);
        r = sd_bus_get_property(b->bus, SYSTEMD, path, SYSTEMD ".Service", "RestrictFileSystems", &error, &m,
                                "(bas)");
        if (r < 0)
                return sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_PROPERTY)
                                       ? 0
                                       : failed(r, &error, "inspect", service);
        r = sd_bus_message_enter_container(m, 'r', "bas");
        if (r >= 0)
                r = sd_bus_message_read(m, "b", &allow);
        if (r >= 0)
                r = sd_bus_message_read_strv(m, &list);
        sd_bus_message_unref(m);
        return r < 0 ? failed(r, &error, "inspect", service) : allow || (list && list[0]);
}
