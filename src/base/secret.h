/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* For programs through whose memory sessions go: no core dump of this process, and of no child until it
 * executes something, whatever the limits and whoever is to be given dumps (core(5), "Piping core
 * dumps"). */
void secrets_stay(void);
