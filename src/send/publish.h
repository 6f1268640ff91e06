/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A text for a program that looks for it in a directory: as a file that everybody may read, and that is at
 * any time the old one or the new one. Whoever owns the directory leads nobody astray by links in it.
 * -ENOENT with the remedy: there is no directory. */
int publish(const char *directory, const char *name, const char *text);
