/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * One question on a connection of its own, to the system's bus: polkit is no part of systemd. If whoever
 * asks ends meanwhile, the connection ends with this process, and polkit takes its dialog back.
 */

#include "systemd/polkit.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"

#include <string.h>
#include <systemd/sd-bus.h>

#define POLKIT    "org.freedesktop.PolicyKit1"
#define AUTHORITY "/org/freedesktop/PolicyKit1/Authority"

#define ALLOW_INTERACTION 1u /* CheckAuthorizationFlags */

/* Somebody types a password; more than this would hold one of the few connections. */
#define PATIENCE (120 * USEC_PER_SEC)

static void error_free(sd_bus_error *e) {
        sd_bus_error_free(e);
}

static void message_unrefp(sd_bus_message **m) {
        sd_bus_message_unref(*m);
}

static void bus_unrefp(sd_bus **bus) {
        sd_bus_flush_close_unref(*bus);
}

/* An older polkit looks only at the number and the start; one that knows the pidfd looks only at that. */
static int append_subject(sd_bus_message *m, const PolkitSubject *subject) {
        int r = sd_bus_message_open_container(m, 'r', "sa{sv}");

        if (r >= 0)
                r = sd_bus_message_append(m, "s", "unix-process");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}", "pid", "u", (uint32_t)subject->pid,
                                          "start-time", "t", subject->start, "uid", "i",
                                          (int32_t)subject->uid);
        if (r >= 0 && subject->pidfd >= 0)
                r = sd_bus_message_append(m, "{sv}", "pidfd", "h", subject->pidfd);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int call(sd_bus *bus, const PolkitSubject *subject, const char *action, bool interactive,
                sd_bus_error *error, sd_bus_message **ret) {
        _cleanup_(message_unrefp) sd_bus_message *m = NULL;
        int r = sd_bus_message_new_method_call(bus, &m, POLKIT, AUTHORITY, POLKIT ".Authority",
                                               "CheckAuthorization");

        if (r >= 0)
                r = append_subject(m, subject);
        if (r >= 0)
                r = sd_bus_message_append(m, "sa{ss}us", action, 0, interactive ? ALLOW_INTERACTION : 0u,
                                          "");
        return r < 0 ? r : sd_bus_call(bus, m, PATIENCE, error, ret);
}

static int no_polkit(int r, const char *why) {
        return err_say(r, "only root may call this, since polkit does not answer: %s", why);
}

int polkit_check(const PolkitSubject *subject, const char *action, bool interactive) {
        _cleanup_(error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(bus_unrefp) sd_bus *bus = NULL;
        int allowed = 0, challenge = 0, r;

        r = sd_bus_open_system(&bus);
        if (r < 0)
                return no_polkit(r, "there is no system bus");
        r = call(bus, subject, action, interactive, &error, &reply);
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'r', "bba{ss}");
        if (r >= 0)
                r = sd_bus_message_read(reply, "bb", &allowed, &challenge);
        if (r < 0)
                return no_polkit(r, error.message ?: strerror(-r));
        if (allowed)
                return 0;
        return challenge ? POLKIT_CHALLENGE : POLKIT_NO;
}
