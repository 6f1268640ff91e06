/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The store: one directory (Store=, 0700, root), and what it may hold:
 *
 *         save/NAME/         images of the tree NAME, while a save goes on and until its restore;
 *                            STORE_VOLATILE in it: its files that no boot brings, a pax archive;
 *                            "begun": that restore has begun; "runs": the tree, from when it ran again;
 *                            "done": the tree, with what became of it; "*.room": room for these
 *         saving             a save has begun and has not come to its end: what it is about to save
 *         ticket             the sealed ticket: exists if and only if something must come back
 *         ticket.claimed     the same after the claim: a restore has begun
 *         report             the last ticket with outcomes, for `carryover status`
 *         history/           the reports of the last saves, shortened (store/history.h)
 *         report.sent        which report was handed on
 *         report.room, ticket.room  room for the next one, and for what a restore may have to give back
 *         failed/ID/NAME/    images of trees that could not come back
 *         gone/NAME.N/       images that nobody needs any more, until store_wipe()
 *
 * and /run/carryover (store/run.h; 0700, root, dies with the boot): keep, request, progress, hold, claimed,
 * unreported and locks.
 */

#include "model/config.h"
#include "model/model.h"
#include "store/handle.h"
#include "store/run.h"

/* Opens (and makes) the store; refuses one that is not root's own 0700 directory: -EPERM with the remedy. */
int store_open(const Config *config, Store *ret);

/* The same for whoever changes nothing. Answer 1: there is none yet (Store.absent); then only store/room.h
 * tells anything of it. */
int store_look(const Config *config, Store *ret);
void store_close(Store *store);

/* A fresh empty directory save/NAME (what was there is gone: it belongs to no ticket). Returns its
 * descriptor. */
int store_tree_create(const Store *store, const char *tree);
int store_tree_open(const Store *store, const char *tree);
int store_tree_remove(const Store *store, const char *tree);
/* A tree whose save failed: its images (every *.img holds secrets) go, CRIU's logs stay as failed/last/NAME
 * for whoever asks why. */
int store_tree_discard(const Store *store, const char *tree);
/* Moves save/NAME to failed/ID/NAME, durably; *ret_path (caller frees) names it for the user. */
int store_tree_fail(const Store *store, const char *ticket_id, const char *tree, char **ret_path);

/* Moves them back, without the notes that their restore has begun and ended, for another one that somebody
 * asks for by hand. -ENOENT: they are gone. */
int store_tree_retry(const Store *store, const char *ticket_id, const char *tree);

/* Whether a ticket lies here that could not be believed (ticket.bad); somebody must look at it. The next
 * seal removes it. */
bool store_bad(const Store *store);

/* Durably notes which trees a save is about to touch, for whoever comes after one that died; an older note
 * is replaced. */
int store_saving_begin(const Store *store, const Ticket *ticket);
/* That note, or answer 1 if there is none. */
int store_saving(const Store *store, Ticket **ret);
int store_saving_end(const Store *store);

/* 0, or -EEXIST with a sentence: a ticket waits, sealed or claimed, and what is in save/ belongs to it. */
int store_vacant(const Store *store);
/* The sealed ticket that a save takes along (model/waiting.h), as store_ticket(). -EEXIST with a sentence:
 * one is claimed. A save asks before it touches anything. */
int store_waiting(const Store *store, Ticket **ret);
/* The seal: one durable rename. It replaces the ticket that waits, whose trees the new one has as well;
 * without one (NULL) it refuses an older ticket as store_vacant() does. Refuses (-EBADMSG) what the next
 * boot would refuse to believe. -ENOSPC: there is no room for what that boot must note. Failed, it leaves
 * what was there. */
int store_seal(const Store *store, const Ticket *ticket, const Ticket *waiting);
/* Replaces the sealed ticket by a fuller one with the same id, in one durable step. -ENOENT: it is sealed no
 * more, and must not be sealed a second time. */
int store_amend(const Store *store, const Ticket *ticket);
/* Takes a seal back, durably: every tree of it lives. What waited before (or NULL) is sealed as it was. */
int store_unseal(const Store *store, const Ticket *waiting);
/* Whether there is a sealed ticket, as far as the disk can tell, that need not be readable. */
bool store_is_sealed(const Store *store);
/* The sealed ticket, or answer 1 if there is none. -EBADMSG: it is set aside as ticket.bad, and the sentence
 * says so. */
int store_ticket(const Store *store, Ticket **ret);
/* The claim: ticket -> ticket.claimed, durable before it returns; remembered in /run, so that this boot
 * knows its own claim from one of a boot that died in the middle of its restore. -ENOENT: somebody else has
 * claimed it. */
int store_claim(const Store *store, const Ticket *ticket);
/* Makes the claim of such a dead boot this boot's. What had not begun may still come back. */
int store_take_over(const Ticket *claimed);
/* A claimed ticket whose restore is not known to have ended; answer 1 if there is none. *ret_ours: claimed
 * by this boot. */
int store_claimed(const Store *store, Ticket **ret, bool *ret_ours);
/* Before anything in the images of a tree is changed for a restore: what may be is kept beside it as it was
 * sealed, until store_tree_retry(). */
int store_tree_keep_sealed(int images_fd);
/* Durably notes in the images of a tree that its restore begins. What has begun must not begin again. */
int store_tree_begin(int images_fd);
bool store_tree_begun(int images_fd);
/* Durably notes that it runs again (tree->outcome says how, tree->root_start since when), before anything
 * else is done about that. */
int store_tree_runs(int images_fd, const Tree *tree);
/* That note, or answer 1 if there is none. */
int store_tree_ran(int images_fd, const char *name, Tree **ret);
/* Durably notes what became of a tree (tree->outcome), for a restore that is started again. */
int store_tree_done(const Store *store, const char *ticket_id, const Tree *tree);
/* That note, or answer 1 if there is none. */
int store_tree_outcome(const Store *store, const char *ticket_id, const char *name, Tree **ret);
/* The same in the place of *tree. */
int store_tree_recall(const Store *store, const char *ticket_id, Tree **tree);
/* The images of a tree are gone, what is noted there stays. */
int store_tree_empty(const Store *store, const char *tree);
/* Seals what of a claimed ticket has not begun, for another start; the claim on the rest then ends with the
 * report. */
int store_give_back(const Store *store, const Ticket *rest);
/* The end: writes the report and removes ticket.claimed, and save/ if it is empty: what is in it goes one by
 * one, by store_tree_remove(), _discard() and _fail(). */
int store_report_write(const Store *store, const Ticket *report);
int store_report(const Store *store, Ticket **ret); /* answer 1 if none */

/* Whether a report was handed to the administrator's programs (flow/send.c), and that it was. One that tells
 * more of the same save is another report. */
bool store_report_was_sent(const Store *store, const Ticket *report);
int store_report_sent(const Store *store, const Ticket *report);
