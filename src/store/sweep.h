/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "store/handle.h"

#include <stdint.h>

/*
 * Puts away (gone/) images of trees that could not come back and that nobody can or will try again: those of
 * any save but the last, and those that are older. Nothing while a ticket waits, or lies here damaged.
 */
int store_age(const Store *store, uint64_t before_realtime);

/*
 * What is gone still lies on the disk. Overwrites and removes it, where that reaches the disk
 * (files/wipe.h), else removes it; at idle priority, which the calling thread keeps. Answer 1: stop_fd has
 * become readable, and the rest waits for another call. -ETIMEDOUT: it took too long, and the rest was only
 * removed.
 */
int store_wipe(const Store *store, int stop_fd);
