/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cli/cli.h"
#include "flow/flow.h"
