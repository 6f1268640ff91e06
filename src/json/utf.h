/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A copy in which every byte that is no part of a well-formed UTF-8 sequence is '?': what JSON wants. NULL
 * gives "". The caller frees; NULL on -ENOMEM. */
char *text_utf8(const char *text);
