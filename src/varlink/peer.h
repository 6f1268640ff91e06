/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "systemd/polkit.h"

/* Who has connected, as the kernel noted it then. -ESRCH: that process has ended, and its number may be
 * another one's by now; unless it was root's, who may do anything. The caller closes the pidfd. */
int peer_of(int fd, PolkitSubject *ret);
