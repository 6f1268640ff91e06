/* SPDX-License-Identifier: GPL-2.0-or-later */

/* setlocale() would map the archive of all locales, a file that an upgrade replaces: `carryover reboot`
 * would be carried with it. The variables say the same, in the order of locale(7). */

#include "report/style.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static bool wants_colour(void) {
        const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

        return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0 && !(no && no[0]);
}

static bool is_utf8(void) {
        const char *locale = getenv("LC_ALL"), *codeset;

        if (!locale || !locale[0])
                locale = getenv("LC_CTYPE");
        if (!locale || !locale[0])
                locale = getenv("LANG");
        codeset = locale ? strchr(locale, '.') : NULL;
        return codeset && (strncasecmp(codeset, ".UTF-8", 6) == 0 || strncasecmp(codeset, ".utf8", 5) == 0);
}

ReportStyle report_style(void) {
        return (ReportStyle){.colour = wants_colour(), .utf8 = is_utf8()};
}
