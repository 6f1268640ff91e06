/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Space in the store: what may be taken of it, and what is taken early. */

#include "model/model.h"
#include "store/handle.h"

/* In bytes: of the whole file system; that others may use too, less a headroom for what they write until the
 * next boot is through; and that images take already, of trees that failed and of whatever is over. */
typedef struct StoreSpace {
        uint64_t size, free, used;
} StoreSpace;

int store_space(const Store *store, StoreSpace *ret);

/* -EOPNOTSUPP with the remedy: it is in memory, and a save into it would be one into nothing. */
int store_lasts(const Store *store);

/* Room for what a restore must note of a tree, on a disk that is full by then. Answer 1: it is made, and
 * durable with sync_tree(). */
int store_tree_reserve(int images_fd, const Tree *tree);

/* The same of a whole ticket, durable with the next fsync of the store. The seal asks for it, and finds what
 * was taken before there was a hurry: each tree's, and with `early` as much as the ticket may grow to. */
int store_reserve(const Store *store, const Ticket *ticket, bool early);
/* What was not used goes. */
void store_unreserve(const Store *store, const char *ticket_id);
