/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a save has left that did not come to its end (save-aftermath.c); flow_save_aftermath() is in
 * flow.h. */

#include "store/store.h"

/* The consequence of by_inode_sweep_end(), for log_failed(). */
#define LEFT_BESIDE "temporary links and changed execute permissions may remain on files of a session"

/* In a boot that has nothing to restore: reports the trees that went down with the machine before they were
 * sealed, and removes what there is of their images. */
void aftermath_of_boot(const Store *store);

/* In one that restores what had waited already when that save began: adds those trees to the ticket, with
 * that outcome. */
void aftermath_of_ticket(const Store *store, Ticket *ticket);
