/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "model/model.h"
#include "systemd/bus.h"

/*
 * Login sessions as logind and utmp know them. logind reads /run/systemd/sessions/ when it starts, as after
 * its own upgrade: session and FIFO go there before it starts; when it already runs it is restarted. Answer
 * 1: a running logind must be restarted.
 */
int login_put_back(Bus *manager, const Tree *tree);

/* Before logind starts: new logins leave the numbers of these sessions alone (systemd/login.h). */
int login_reserve(const Ticket *ticket);
