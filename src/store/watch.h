/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "store/handle.h"

/* A descriptor that becomes readable when something in the store or in /run/carryover has changed, for
 * base/await.h; the caller closes it. */
int store_watch(const Store *store);

/* Takes the events away. */
int store_watch_drain(int fd);
