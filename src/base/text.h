/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Text: numbers out of strings that are not trusted, and strings built without counting. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* A whole decimal number, nothing before or behind it, at most max; -EINVAL otherwise (no record: the caller
 * knows what the number was for). */
int parse_u64(const char *text, uint64_t max, uint64_t *ret);

/* The kernel's PID_MAX_LIMIT on 64-bit machines. */
#define PID_MAX 4194304u

/* 1 .. PID_MAX. */
int parse_pid(const char *text, pid_t *ret);

/* "yes/no/true/false/on/off/1/0" as in systemd's files; -EINVAL otherwise. */
int parse_bool(const char *text);

/* asprintf that returns NULL on failure. The caller frees. */
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What `write` writes, as a text. The caller frees. Its error, or -ENOMEM. */
int text_written(int (*write)(FILE *out, const void *userdata), const void *userdata, char **ret);

/* Names of processes and files are anybody's to choose: a text with them becomes one line that steers no
 * terminal (control characters, also the eight-bit ones as UTF-8 has them, become '?'). */
void text_tame(char *text);

bool starts_with(const char *text, const char *prefix);
bool ends_with(const char *text, const char *suffix);

/* One of its parts is "." or "..". */
bool path_has_dots(const char *path);

/* A name that is safe as one path component and in a unit name: [A-Za-z0-9_.@-]+, not "." or "..", at most
 * 128 bytes. */
bool name_is_safe(const char *name);

/* The name of a unit as systemd writes it, where an escaped "-" is "\x2d"; at most 255 bytes. */
bool unit_is_safe(const char *name);

/* Lower-case hexadecimal of n bytes into out[2 * n + 1]. */
void hex_encode(const void *data, size_t n, char *out);
