/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the unit of a tree restricts, which its scope after the return would not. */

#include "model/model.h"
#include "model/snapshot.h"
#include "model/verdict.h"

/* Fills tree->limits with what its scope will be given; what that cannot be given is a refusal. */
int restrictions_note(const Snapshot *snapshot, Tree *tree, Verdict *verdict);
