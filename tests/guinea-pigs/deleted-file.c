/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Files without a name: a small one with an offset, one of 3 MiB with a hole that is mapped too (above
 * CRIU's default limit, as a replaced libc is), and one that has another name left. */

#include "pig.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define BIG (3 << 20)

static int make_file(char path[static 32]) {
        int fd;

        strcpy(path, "/tmp/pig-gone-XXXXXX");
        fd = mkstemp(path);
        CHECK(fd >= 0);
        return fd;
}

static int make_big(void) {
        static char block[65536];
        char path[32];
        int fd = make_file(path);

        memset(block, 'b', sizeof block);
        for (off_t at = 0; at < BIG; at += sizeof block)
                if (at != 1 << 20) /* the hole */
                        CHECK(pwrite(fd, block, sizeof block, at) == sizeof block);
        CHECK(unlink(path) == 0);
        return fd;
}

static void check_big(int fd, const char *mapped) {
        struct stat st;
        char c;

        CHECK(fstat(fd, &st) == 0 && st.st_nlink == 0 && st.st_size == BIG);
        for (off_t at = 0; at < BIG; at += 1000) {
                char expected = at >= 1 << 20 && at < (1 << 20) + 65536 ? 0 : 'b';

                CHECK(pread(fd, &c, 1, at) == 1 && c == expected && mapped[at] == expected);
        }
        CHECK(pwrite(fd, "z", 1, 5) == 1 && mapped[5] == 'z');
}

int main(void) {
        char path[32], linked[32], other[40], data[16] = {0};
        int small, big, with_link;
        struct stat st;
        char *mapped;

        pig_begin();
        small = make_file(path);
        pig_write(small, "0123456789", 10);
        CHECK(lseek(small, 4, SEEK_SET) == 4 && fchmod(small, 0640) == 0 && unlink(path) == 0);
        big = make_big();
        mapped = mmap(NULL, BIG, PROT_READ | PROT_WRITE, MAP_SHARED, big, 0);
        CHECK(mapped != MAP_FAILED);
        with_link = make_file(linked);
        snprintf(other, sizeof other, "%s.b", linked);
        CHECK(link(linked, other) == 0 && unlink(linked) == 0);

        pig_wait();

        CHECK(fstat(small, &st) == 0 && st.st_nlink == 0 && (st.st_mode & 07777) == 0640);
        pig_read(small, data, 6);
        CHECK(strcmp(data, "456789") == 0);
        CHECK(access(path, F_OK) < 0 && errno == ENOENT);
        check_big(big, mapped);
        CHECK(access(linked, F_OK) < 0 && errno == ENOENT);
        pig_write(with_link, "x", 1);
        CHECK(stat(other, &st) == 0 && st.st_size == 1);
        CHECK(unlink(other) == 0);
        pig_pass();
}
