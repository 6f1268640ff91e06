/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The pool of huge pages around a restore, also around one that dies. The kernel's pool is this test's own,
 * in memory that a child shares; so is /run. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "kernel/hugepages.h"
#include "restore/huge.h"
#include "restore/restore.h"
#include "store/run.h"
#include "tests/unit/own-run.h"
#include "tests/unit/ticket.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct Machine {
        uint64_t pages, surplus, used, memory; /* pages; memory: of what there is, as huge pages */
        uint64_t other;                        /* as many pages somebody sets right after us, once */
        bool broken, dies;
        time_t takes, late; /* s for each change; in all by now */
} Machine;

static Machine *machine;
static Ticket *ticket;

int hugepages_look(HugePool *ret) {
        if (machine->broken)
                return err_say(-ENOENT, "no huge pages");
        *ret = (HugePool){machine->pages, machine->surplus,
                          machine->pages + machine->surplus - machine->used};
        return 0;
}

int clock_gettime(clockid_t id, struct timespec *ret) {
        int r = (int)syscall(SYS_clock_gettime, id, ret);

        if (machine)
                ret->tv_sec += machine->late;
        return r;
}

/* As the kernel does it. */
int hugepages_set(uint64_t pages) {
        uint64_t all = pages > machine->memory ? machine->memory : pages;

        if (machine->other)
                all = machine->other;
        machine->other = 0;
        machine->pages = all;
        machine->surplus = machine->used > all ? machine->used - all : 0;
        machine->late += machine->takes;
        if (machine->dies)
                raise(SIGKILL);
        return 0;
}

uint64_t hugepages_share(void) {
        return 1000;
}

static Tree *add(const char *name, uint64_t pages) {
        Tree *tree = sample_tree(ticket, name, 400);

        tree->has_huge_bytes = pages > 0;
        tree->huge_bytes = pages * HUGE_PAGE;
        tree->outcome = model_new(Outcome, outcome__init);
        assert_non_null(tree->outcome);
        tree->outcome->state = OUTCOME__STATE__PENDING;
        return tree;
}

static int set_up(void **state) {
        (void)state;
        *machine = (Machine){.memory = 2000};
        ticket = sample_ticket("aa");
        return run_huge_remove();
}

static int tear_down(void **state) {
        (void)state;
        model_free(ticket);
        return restore_huge_end();
}

static void is_noted(bool noted) {
        RunHuge note;

        assert_int_equal(run_huge_read(&note), noted ? 0 : 1);
}

static void test_nothing_wanted(void **state) {
        (void)state;
        (void)add("a", 0);
        add("b", 7)->outcome->state = OUTCOME__STATE__FAILED;
        machine->broken = true; /* and not even looked at */
        assert_int_equal(restore_huge_begin(ticket), 0);
        is_noted(false);
}

/* What the boot has is enough. */
static void test_enough(void **state) {
        (void)state;
        (void)add("a", 7);
        machine->pages = 8;
        machine->used = 1;
        assert_int_equal(restore_huge_begin(ticket), 0);
        assert_int_equal(machine->pages, 8);
        is_noted(false);
        assert_int_equal(restore_huge_end(), 0);
        assert_int_equal(machine->pages, 8);
}

/* Trees of an earlier jump have theirs beyond the pool: those are no pages for others. */
static void test_around(void **state) {
        Tree *a, *b;

        (void)state;
        a = add("a", 7);
        b = add("b", 5);
        machine->pages = 3;
        machine->surplus = 4;
        machine->used = 6;
        assert_int_equal(restore_huge_begin(ticket), 0);
        assert_int_equal(machine->pages, 3 + 4 + 12 - 1);
        is_noted(true);
        assert_int_equal(huge_begin(a), 0);
        machine->used += 7;
        huge_end(a);
        assert_int_equal(huge_begin(b), 0);
        machine->used += 5;
        huge_end(b);
        assert_int_equal(machine->pages, 18);
        assert_int_equal(restore_huge_end(), 0);
        assert_int_equal(machine->pages, 3);
        assert_int_equal(machine->surplus, 18 - 3);
        is_noted(false);
}

/* Somebody took them before the tree's turn: more are made; and the pool is put back all the same. */
static void test_taken(void **state) {
        Tree *a;

        (void)state;
        a = add("a", 7);
        assert_int_equal(restore_huge_begin(ticket), 0);
        machine->used += 4;
        assert_int_equal(huge_begin(a), 0);
        assert_int_equal(machine->pages, 11);
        assert_int_equal(restore_huge_end(), 0);
        assert_int_equal(machine->pages, 0);
        assert_int_equal(machine->surplus, 4);
}

/* There is no memory for all of them: it is said how many there are, and how many a tree lacks. */
static void test_short(void **state) {
        Tree *a, *b;

        (void)state;
        a = add("a", 7);
        b = add("b", 9);
        machine->memory = 8;
        assert_int_equal(restore_huge_begin(ticket), -ENOSPC);
        assert_string_equal(err_text(-ENOSPC), "only 8 of 16 huge pages could be made");
        assert_int_equal(huge_begin(a), 0);
        assert_int_equal(huge_begin(b), 1);
        assert_int_equal(restore_huge_end(), 0);
        assert_int_equal(machine->pages, 0);
}

/* Of whatever the ticket says, a quarter of the memory. */
static void test_most(void **state) {
        (void)state;
        add("a", 7)->huge_bytes = UINT64_MAX;
        machine->pages = 30;
        assert_int_equal(restore_huge_begin(ticket), -ENOSPC);
        assert_int_equal(machine->pages, 1030);
        machine->used += 1030; /* nor once more */
        assert_true(huge_begin(ticket->trees[0]) > 0);
        assert_int_equal(machine->pages, 1030);
        assert_int_equal(restore_huge_end(), 0);
        assert_int_equal(machine->pages, 30);
}

/* A kernel that has to move memory for each piece keeps the boot waiting for ten seconds and no longer. */
static void test_slow(void **state) {
        Tree *a;

        (void)state;
        a = add("a", 1000);
        machine->takes = 4;
        assert_int_equal(restore_huge_begin(ticket), -ENOSPC);
        assert_int_equal(machine->late, 12);
        assert_string_equal(err_text(-ENOSPC), "only 192 of 1000 huge pages could be made");
        assert_int_equal(huge_begin(a), 1000 - 192); /* nor once more before its turn */
        assert_int_equal(machine->late, 12);
        assert_int_equal(restore_huge_end(), 0);
        assert_int_equal(machine->pages, 0);
}

/* An administrator who sets the pool meanwhile means it. */
static void test_set_meanwhile(void **state) {
        (void)state;
        (void)add("a", 7);
        assert_int_equal(restore_huge_begin(ticket), 0);
        machine->pages = 50;
        assert_int_equal(restore_huge_end(), 0);
        assert_int_equal(machine->pages, 50);
        is_noted(false);
}

static void set_then_more(uint64_t set, uint64_t used) {
        Tree *a = ticket->trees[0], *b = ticket->trees[1];

        assert_int_equal(restore_huge_begin(ticket), 0);
        assert_int_equal(machine->pages, 12);
        assert_int_equal(hugepages_set(set), 0);
        machine->used += used;
        assert_int_equal(huge_begin(a), 0);
        assert_int_equal(machine->pages, used + 12);
        machine->used += 7;
        huge_end(a);
        assert_int_equal(huge_begin(b), 0);
        machine->used += 5;
        huge_end(b);
        assert_int_equal(restore_huge_end(), 0);
        assert_int_equal(machine->pages, set);
        assert_int_equal(machine->surplus, used + 12 - set);
        is_noted(false);
}

/* Also where more had to be made for a tree after that, and whatever he sets: the quarter of the memory is
 * beside what is his. */
static void test_set_then_more(void **state) {
        (void)state;
        (void)add("a", 7);
        (void)add("b", 5);
        set_then_more(1100, 1100);
        *machine = (Machine){.memory = 2000};
        set_then_more(3, 0);
}

/* What he said last holds. */
static void test_set_twice(void **state) {
        Tree *a;

        (void)state;
        a = add("a", 7);
        (void)add("b", 5);
        assert_int_equal(restore_huge_begin(ticket), 0);
        assert_int_equal(hugepages_set(5), 0);
        assert_int_equal(huge_begin(a), 0);
        assert_int_equal(machine->pages, 12);
        assert_int_equal(hugepages_set(9), 0);
        assert_int_equal(huge_begin(a), 0);
        assert_int_equal(machine->pages, 12);
        assert_int_equal(restore_huge_end(), 0);
        assert_int_equal(machine->pages, 9);
}

/* In the very moment in which we do. */
static void test_set_at_once(void **state) {
        (void)state;
        (void)add("a", 200);
        machine->other = 100;
        assert_int_equal(restore_huge_begin(ticket), -ENOSPC);
        assert_int_equal(machine->pages, 100);
        assert_int_equal(huge_begin(ticket->trees[0]), 0);
        assert_int_equal(machine->pages, 200);
        assert_int_equal(restore_huge_end(), 0);
        assert_int_equal(machine->pages, 100);
}

static void die(void (*what)(void)) {
        pid_t pid = fork();
        int status;

        assert_true(pid >= 0);
        if (pid == 0) {
                what();
                raise(SIGKILL);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
}

static void begin_and_die(void) {
        (void)restore_huge_begin(ticket);
}

static void end_and_die(void) {
        (void)restore_huge_end();
}

/* Behind the making, in the middle of it, and in the middle of putting it back. */
static void test_death(void **state) {
        (void)state;
        (void)add("a", 7);
        machine->pages = 3;
        die(begin_and_die);
        assert_int_equal(machine->pages, 7);
        is_noted(true);
        assert_int_equal(restore_huge_end(), 0);
        assert_int_equal(machine->pages, 3);
        is_noted(false);
        machine->dies = true;
        die(begin_and_die);
        assert_int_equal(machine->pages, 7);
        die(end_and_die);
        assert_int_equal(machine->pages, 3);
        machine->dies = false;
        assert_int_equal(restore_huge_end(), 0);
        assert_int_equal(machine->pages, 3);
        is_noted(false);
}

/* Then nobody knows whose pages the pool has, and what it was before holds. */
static void test_death_and_more(void **state) {
        (void)state;
        (void)add("a", 7);
        machine->pages = 3;
        machine->dies = true;
        die(begin_and_die);
        assert_int_equal(machine->pages, 7);
        machine->dies = false;
        machine->used = 2;
        assert_int_equal(restore_huge_begin(ticket), 0);
        assert_int_equal(machine->pages, 9);
        assert_int_equal(restore_huge_end(), 0);
        assert_int_equal(machine->pages, 3);
}

/* Whatever stands in the note, it keeps nobody from the next restore. */
static void test_bad_note(void **state) {
        static const char *const notes[] = {"", "x", "1", "1 x", "1 2 3", "-1 2", " 1 2"};
        _cleanup_(closep) int run = run_directory();

        (void)state;
        for (size_t i = 0; i < ELEMENTS(notes); i++) {
                assert_int_equal(file_replace(run, "huge-pages", notes[i], strlen(notes[i])), 0);
                assert_int_equal(restore_huge_end(), -EBADMSG);
                assert_int_equal(machine->pages, 0);
                is_noted(false);
        }
}

int main(void) {
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                        T(test_nothing_wanted), T(test_enough),         T(test_around),
                        T(test_taken),          T(test_short),          T(test_most),
                        T(test_death),          T(test_bad_note),       T(test_set_meanwhile),
                        T(test_slow),           T(test_set_then_more),  T(test_set_twice),
                        T(test_set_at_once),    T(test_death_and_more),
        };
        int r = own_run();

        if (r != 0)
                return r;
        machine = mmap(NULL, sizeof *machine, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (machine == MAP_FAILED)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
