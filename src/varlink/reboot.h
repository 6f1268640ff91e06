/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "varlink/call.h"

/*
 * io.carryover.Reboot (methods.h). The shutdown that it asks for also ends this process: once it has
 * succeeded, SIGTERM waits until reboot_told(), when the reply was sent.
 */
int method_reboot(const Call *call, char **ret);
void reboot_told(void);
