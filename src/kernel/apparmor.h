/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The profiles of AppArmor that a tree's processes run under, and waiting for whoever loads them. */

#include "model/model.h"

/* The profiles that are loaded, as model/label.h has them. Answer 1: this kernel runs without AppArmor. */
int apparmor_read(char **ret);

/* Fills tree->profiles from the labels in tree->rights, which are AppArmor's if it runs. */
int apparmor_note(Tree *tree);

/* Whether they are loaded: 0; 1 with the sentence of -ETIMEDOUT; -EOPNOTSUPP: they cannot be. */
int apparmor_missing(const Tree *tree);

/* Waits until they are, by the kernel's announcements. 0; -ETIMEDOUT with the sentence naming the first one
 * missing; -EOPNOTSUPP; -ECANCELED when stop_fd (or -1) becomes readable. */
int apparmor_wait(const Tree *tree, uint64_t usec, int stop_fd);
