/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Order matters twice. Process numbers first: every process that starts before the lift may take a number
 * that a restore needs. The hold next, because the network may come up in the initramfs: the first packet of
 * a peer that meets no hold draws a reset. The claim last, when what could be done for a good restore is
 * done.
 *
 * The claim is here rather than in the restore, so that a restore that dies, or a unit that is started
 * twice, finds a ticket that is claimed already, whatever the reason.
 */

#include "early/early.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "files/initrd.h"
#include "kernel/ids.h"
#include "kernel/kmod.h"
#include "model/codec.h"
#include "model/connections.h"
#include "netfilter/hold.h"
#include "store/key.h"
#include "store/store.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/statfs.h>

/* 10,000 connections make 0.3 MiB. */
#define EARLY_MAX_BYTES (16u << 20)

/* No session may be born with a number that the next early boot takes itself: kernel threads and early
 * services of a large machine stay below this, and the smallest pid_max (32768) above. */
#define FIRST_SESSION_PID 20000u

const char *const *early_modules(void) {
        return hold_modules;
}

bool early_off(void) {
        _cleanup_(freep) char *line = NULL;
        char *save = NULL;

        if (file_slurp(AT_FDCWD, "/proc/cmdline", 16384, &line, NULL) < 0)
                return false;
        for (char *w = strtok_r(line, " \n", &save); w; w = strtok_r(NULL, " \n", &save)) {
                if (strcmp(w, "--") == 0)
                        break;
                if (strcmp(w, "carryover=off") == 0)
                        return true;
        }
        return false;
}

/* One failed step. */
static int failed(EarlySay say, int r, const char *consequence) {
        _cleanup_(freep) char *text = text_format("%s; %s", err_text(r), consequence);

        say(LOG_WARNING, text ?: err_text(r));
        return 1;
}

static int load(EarlySay say, const char *const *names) {
        _cleanup_(freep) char *text = NULL;
        int n = kmod_load(names);

        if (n <= 0)
                return 0;
        text = text_format("%d kernel modules could not be loaded, continuing", n);
        say(LOG_WARNING, text ?: "kernel modules could not be loaded, continuing");
        return 1;
}

static int lift(EarlySay say, uint32_t max_pid) {
        int r = max_pid > 0 ? system_pids_lift(max_pid) : 0;

        return r < 0 ? failed(say, r, "a session may be restored in its own PID namespace") : 0;
}

/* Long before udev comes to them: the addresses are waited for by the restore. udev may still rename the
 * device afterwards. */
static int load_drivers(EarlySay say, const Ticket *ticket) {
        int n = 0;

        for (size_t i = 0; i < ticket->n_drivers; i++) {
                const char *names[] = {ticket->drivers[i], NULL};

                if (name_is_safe(names[0]))
                        n += load(say, names);
        }
        return n;
}

/* A kernel that lacks the backend of the last one gets the other. */
static int hold(EarlySay say, HoldBackend *backend, const HoldSet *set) {
        int r = hold_set(*backend, set, backend);

        if (r == -EOPNOTSUPP && *backend != HOLD_AUTO)
                r = hold_set(HOLD_AUTO, set, backend);
        return r < 0 ? failed(say, r, "connections of carried sessions may be reset") : 0;
}

/* Firewall services start now, and the restore only when systemd-tmpfiles has emptied what it empties. */
static int guard(EarlySay say, HoldBackend backend, const HoldSet *all) {
        int r = hold_guard_leave(NULL, backend, all);

        return r < 0 ? failed(say, r, "a firewall service that flushes the rules may remove the hold") : 0;
}

static bool root_is_memory(void) {
        struct statfs fs;

        return statfs("/", &fs) == 0 && ((unsigned)fs.f_type == RAMFS_MAGIC || fs.f_type == TMPFS_MAGIC);
}

/* Where carryover-restore finds it, and no file has it any more. */
static int keep_key(EarlySay say, const Early *early) {
        int r = 0;

        if (early->has_store_key)
                r = early->store_key.len == BOX_KEY
                                    ? store_key_put(early->store_key.data)
                                    : err_say(-EBADMSG, "the image key has an invalid length");
        return r < 0 ? failed(say, r, "encrypted sessions cannot be restored") : 0;
}

int early_initramfs(EarlySay say) {
        _cleanup_(early_freep) Early *early = NULL;
        _cleanup_(freep) char *data = NULL, *text = NULL;
        ProtobufCMessage *message = NULL;
        HoldBackend backend;
        HoldSet set;
        size_t size;
        int r, n = 0;

        if (!root_is_memory()) {
                say(LOG_ERR, "not running in an initramfs: nothing done");
                return 1;
        }
        r = file_slurp(AT_FDCWD, "/" INITRD_EARLY, EARLY_MAX_BYTES, &data, &size);
        if (r == -ENOENT)
                return 0;
        if (early_off()) {
                say(LOG_NOTICE, "disabled by carryover=off: saved sessions stay in the store");
                return 0;
        }
        if (r >= 0)
                r = fault_point("early:initramfs");
        if (r >= 0)
                r = codec_decode(CODEC_EARLY, "/" INITRD_EARLY, data, size, &message);
        if (r < 0)
                return failed(say, r, "connections of carried sessions may be reset");
        early = (Early *)message;
        n += keep_key(say, early);
        n += lift(say, early->max_pid);
        n += load(say, hold_modules);
        backend = hold_backend_of(early->hold_backend);
        set = hold_set_of_early(early);
        n += hold(say, &backend, &set);
        text = text_format("process numbers up to %u reserved, %zu connections and %zu ports held%s",
                           early->max_pid, set.n_connections, set.n_ports, n ? ", with failures" : "");
        say(n ? LOG_WARNING : LOG_INFO, text ?: "done");
        return n;
}

/* Nobody comes back to these connections: an answer is better than silence. But not if the ticket may be in
 * a store that we were not told of. */
static int hold_without_ticket(const Config *config, const Store *store, EarlySay say) {
        _cleanup_(ticket_freep) Ticket *claimed = NULL;
        bool ours;
        int r;

        if (hold_present(NULL) != 1)
                return 0;
        r = store_claimed(store, &claimed, &ours);
        if (r == 0 && ours)
                return 0; /* a restore is going on in this boot: it is its hold */
        if (config->partial) {
                say(LOG_WARNING, "found a hold without a ticket, but not all of the configuration could be "
                                 "read: keeping the hold");
                return 1;
        }
        say(LOG_WARNING, "found a hold without a ticket: removing the hold");
        r = hold_clear();
        return r < 0 ? failed(say, r, "the hold could not be removed") : 0;
}

/* The sealed ticket, or the one that a boot had claimed which died in the middle of its restore: what had
 * not begun then comes back now. Answer 1: there is none. */
static int find_ticket(const Store *store, Ticket **ret, bool *ret_claimed) {
        bool ours = false;
        int r;

        r = store_claimed(store, ret, &ours);
        if (r == 0 && ours) { /* a restore is going on in this boot */
                model_free(TAKE(*ret));
                return 1;
        }
        *ret_claimed = r == 0;
        return r == 1 ? store_ticket(store, ret) : r;
}

static int claim(const Config *config, const Store *store, EarlySay say) {
        _cleanup_(hold_set_done) HoldSet needs = {0};
        _cleanup_(ticket_freep) Ticket *ticket = NULL;
        HoldBackend backend;
        bool claimed = false;
        int r, n = 0;

        r = find_ticket(store, &ticket, &claimed);
        if (r < 0)
                n += failed(say, r, "nothing is restored");
        if (r != 0)
                return n + hold_without_ticket(config, store, say);
        if (claimed)
                say(LOG_WARNING,
                    "the previous boot ended during the restore; restoring the remaining trees");
        r = hold_set_of(ticket, &needs);
        if (r < 0)
                return n + failed(say, r, "the ticket is kept for the next boot");
        n += lift(say, early_highest_pid(ticket));
        backend = hold_backend_of(ticket->hold_backend);
        if (hold_present(NULL) != 1)
                n += load(say, hold_modules);
        /* Also where it stands: the initramfs may have had to take the other backend, and the guard must
         * know. */
        n += hold(say, &backend, &needs);
        n += load_drivers(say, ticket);
        r = fault_point("early:before-claim");
        if (r >= 0)
                r = claimed ? store_take_over(ticket) : store_claim(store, ticket);
        if (r >= 0)
                r = fault_point("early:claimed");
        if (r < 0)
                return n + failed(say, r, "nothing is restored");
        return !hold_set_is_empty(&needs) ? n + guard(say, backend, &needs) : n;
}

int early_service(const Config *config, EarlySay say) {
        Store store = {.fd = -1};
        int r, n;

        n = lift(say, FIRST_SESSION_PID);
        if (early_off()) {
                say(LOG_NOTICE, "disabled by carryover=off: saved sessions stay in the store");
                return n;
        }
        r = store_open(config, &store);
        if (r < 0)
                return n + failed(say, r, "nothing is restored");
        n += claim(config, &store, say);
        store_close(&store);
        return n;
}
