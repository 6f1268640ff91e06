/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/hold-note.h"

#include "base/err.h"
#include "base/log.h"
#include "netfilter/hold.h"
#include "store/store.h"

int hold_note_write(const Ticket *ticket, HoldBackend used, const HoldSet *all) {
        Early early = EARLY__INIT;

        early.ticket_id = ticket->id;
        early.hold_backend = (char *)hold_backend_text(used);
        early.connections = all->connections;
        early.n_connections = all->n_connections;
        early.ports = all->ports;
        early.n_ports = all->n_ports;
        return err_pass(run_hold_write(&early));
}

void hold_note_forget(void) {
        log_failed(run_hold_remove(), "the next shutdown may hold connections that are not carried");
}
