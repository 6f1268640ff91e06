/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Calling off, by `carryover cancel` (flow.h) or by Ctrl-C in the `carryover reboot` that waits. */

#include "report/wait.h"

/* Wait.interrupted of `carryover reboot`: calls it off, or says why it is too late. */
void cancel_waiting(const Wait *w);
