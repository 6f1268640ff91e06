/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The report goes to the programs in /etc/carryover/report.d: asked for here, done by flow_send(). */

#include "model/config.h"
#include "store/store.h"

/* If there is a report that has not been sent and shall be: has systemd run carryover-report.service, which
 * waits for the network. Asked when a restore ends, and when carryover.service starts: behind a save that
 * was stopped, and in each boot. Not while the machine goes down. Never fails. */
void send_ask(const Config *config, const Store *store);
