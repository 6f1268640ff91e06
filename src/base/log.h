/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The log front: lines on stderr, with the journal's <N> priority prefix when stderr is a journal stream.
 * Only flow, cli, report and bin log above debug (docs/STYLE.md). Never a secret: no image contents, no
 * environment, no arguments of carried processes.
 */

#include <syslog.h>

/* Up to LOG_INFO; CARRYOVER_DEBUG in the environment means up to LOG_DEBUG. */
void log_line(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "consequence: sentence" as a warning if r is negative, else nothing: for what must not stop the rest. */
void log_failed(int r, const char *consequence);

#define log_debug(...)   log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)    log_line(LOG_INFO, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_error(...)   log_line(LOG_ERR, __VA_ARGS__)
