/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: what carryover-init (init.h) answers. */

#include "model/model.h"

int init_answer_write(int fd, const InitAnswer *answer);
/* -ENODATA if the other side is gone. Free with model_free(). */
int init_answer_read(int fd, InitAnswer **ret);
