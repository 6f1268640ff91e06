/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/secret.h"

#include <sys/prctl.h>

void secrets_stay(void) {
        (void)prctl(PR_SET_DUMPABLE, 0); /* cannot fail with this value */
}
