/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "model/model.h"
#include "model/snapshot.h"

/* Fills tree->traces->lost, in place of what was there. */
int lost_note(const SnapProcess *const *list, size_t n, Tree *tree);
