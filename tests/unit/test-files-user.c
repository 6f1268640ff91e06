/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/fd.h"
#include "files/user.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char root[] = "/tmp/user-XXXXXX";

static void put(const char *directory, const char *name, const char *text) {
        char path[128];
        int dir;

        snprintf(path, sizeof path, "%s%s", root, directory);
        dir = open_dirs(path, 0755);
        assert_true(dir >= 0);
        assert_int_equal(file_replace(dir, name, text, strlen(text)), 0);
        (void)fd_close(dir);
}

static void is(uint32_t uid, const char *expected) {
        char name[USER_NAME_SIZE];

        user_name(root, uid, name);
        assert_string_equal(name, expected);
}

static void test_nothing(void **state) {
        is(0, "0");
        is(UINT32_MAX, "4294967295");
}

static void test_names(void **state) {
        put("/etc", "passwd",
            "\nbroken\n:x:1:1::/:/bin/sh\nroot:x:0:0:root:/root:/bin/bash\n"
            "tricky::1001x:0:::\nnumber:1000:33:33::/:/bin/sh\njoe:x:1000:1000::/home/joe:/bin/sh\n"
            "a name with blanks:x:1001:1001:::\nbad\033[31m:x:1002:1002:::\n"
            "a-name-that-is-longer-than-any-linux-has:x:1003:1003:::\nlast:x:1004:");
        is(0, "root");
        is(1, "1");
        is(33, "number");
        is(1000, "joe");
        is(1001, "1001");
        is(1002, "1002");
        is(1003, "1003");
        is(1004, "last");
        /* of a directory, with a session */
        put("/run/systemd/users", "70000", "# private\nSTATE=active\nNAME=annie\nRUNTIME=/run/user/70000\n");
        put("/run/systemd/users", "1000", "# private\nNAME=joseph\n");
        put("/run/systemd/users", "0", "# private\nNAME=\nNAMES=x\n");
        is(70000, "annie");
        is(1000, "joseph");
        is(0, "root");
}

static int remove_root(void **state) {
        return file_remove_tree(AT_FDCWD, root);
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing), cmocka_unit_test(test_names)};

        if (!mkdtemp(root))
                return 1;
        return cmocka_run_group_tests(tests, NULL, remove_root);
}
