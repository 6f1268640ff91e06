/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Threads inside of a restartable sequence, as CRIU meets them; and what memory is registered for. */

/* The sequence is in assembler. */
#ifndef __x86_64__
int main(void) {
        return 77; /* for meson: skipped */
}
#else

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/wait.h>

#include <cmocka.h>

/* The objects themselves: no ptrace of libc's may be left. */
#include "hooks/criu-barrier.c"
#include "hooks/criu-rseq.c"
#include "hooks/criu-stop.c"

enum { RIGHT = 1, BROKEN };

typedef struct Told {
        volatile uint32_t go;
        volatile uint32_t turns; /* how often it has begun */
} Told;

/* Shared with the child. */
typedef struct Page {
        _Atomic pid_t tid; /* of the thread that is about to begin */
        _Atomic uint64_t area;
        Told told;
        volatile uint32_t outcome;
        struct rseq own; /* one that the kernel does not know of */
        struct rseq_cs sequence;
} Page;

static Page *page;

/* Is in a sequence, and begins it anew, until it is told to go: RIGHT; BROKEN once nobody knows any more
 * that it is in one. */
uint32_t sequence_run(struct rseq *area, struct rseq_cs *sequence, Told *told);
extern const char sequence_begin[], sequence_end[], sequence_abort[], sequence_unmarked[];

__asm__(".text\n"
        "sequence_run:\n"
        "        cmpl $0, (%rdx)\n"
        "        jne 2f\n"
        "        incl 4(%rdx)\n"
        "        movq %rsi, 8(%rdi)\n"
        "sequence_begin:\n"
        "1:      pause\n"
        "        cmpl $0, (%rdx)\n"
        "        jne 2f\n"
        "        cmpq $0, 8(%rdi)\n"
        "        jne 1b\n"
        "sequence_end:\n"
        "        movl $2, %eax\n"
        "        ret\n"
        "2:      movl $1, %eax\n"
        "        ret\n"
        "        .long 0x53053053\n" /* RSEQ_SIG of x86 */
        "sequence_abort:\n"
        "        jmp sequence_run\n"
        "        .long 0\n"
        "sequence_unmarked:\n"
        "        jmp sequence_run\n");

static void *in_sequence(void *unused) {
        struct rseq *area = page->area ? &page->own
                                       : (void *)((char *)__builtin_thread_pointer() + __rseq_offset);

        (void)unused;
        page->area = (uintptr_t)area;
        page->tid = (pid_t)syscall(SYS_gettid);
        page->outcome = sequence_run(area, &page->sequence, &page->told);
        return NULL;
}

/* The second thread of a process is in such a sequence, of an area of its own or of libc's. */
static pid_t start_child(const char *end, const char *abort, uint32_t flags, bool own) {
        pid_t pid;

        *page = (Page){.area = own,
                       .sequence = {.flags = flags,
                                    .start_ip = (uintptr_t)sequence_begin,
                                    .post_commit_offset = (uintptr_t)end - (uintptr_t)sequence_begin,
                                    .abort_ip = (uintptr_t)abort}};
        pid = fork();
        if (pid == 0) {
                pthread_t thread;

                if (pthread_create(&thread, NULL, in_sequence, NULL) == 0)
                        (void)pthread_join(thread, NULL);
                _exit(0);
        }
        assert_true(pid > 0);
        return pid;
}

static uint64_t ip_of(pid_t tid) {
        return (uint64_t)ptrace(PTRACE_PEEKUSER, tid, AT_IP, NULL);
}

static void stop(pid_t tid) {
        assert_int_equal(ptrace(PTRACE_INTERRUPT, tid, NULL, NULL), 0);
        assert_int_equal(waitpid(tid, NULL, __WALL), tid);
}

static pid_t stop_inside(void) {
        pid_t tid;

        while ((tid = page->tid) == 0)
                (void)sched_yield();
        assert_int_equal(ptrace(PTRACE_SEIZE, tid, NULL, NULL), 0);
        stop(tid);
        while (ip_of(tid) - (uintptr_t)sequence_begin >=
               (uintptr_t)sequence_end - (uintptr_t)sequence_begin) {
                assert_int_equal(ptrace(PTRACE_CONT, tid, NULL, NULL), 0);
                stop(tid);
        }
        return tid;
}

/* The kernel forgets the sequence, as when CRIU's own code runs in the thread, and the thread goes on. */
static uint32_t end_child(pid_t pid, pid_t tid) {
        uint32_t turns = page->told.turns;

        assert_int_equal(ptrace(PTRACE_POKEDATA, tid, page->area + offsetof(struct rseq, rseq_cs), NULL), 0);
        assert_int_equal(ptrace(PTRACE_DETACH, tid, NULL, NULL), 0);
        while (page->outcome == 0 && page->told.turns == turns)
                (void)sched_yield();
        page->told.go = 1;
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        return page->outcome;
}

static uint32_t asked_by_ptrace(void) {
        struct __ptrace_rseq_configuration where = {0};
        pid_t pid = start_child(sequence_end, sequence_abort, 0, false), tid = stop_inside();

        assert_int_equal(ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tid, sizeof where, &where), sizeof where);
        assert_int_equal(where.rseq_abi_pointer, page->area);
        return end_child(pid, tid);
}

static void test_asked(void **state) {
        (void)state;
        if (__rseq_size == 0)
                skip();
        assert_int_equal(unsetenv("CARRYOVER_RSEQ"), 0);
        assert_int_equal(asked_by_ptrace(), BROKEN);
        assert_int_equal(setenv("CARRYOVER_RSEQ", "all", 1), 0);
        assert_int_equal(asked_by_ptrace(), RIGHT);
}

static uint32_t told(const char *end, const char *abort, uint32_t flags, uint64_t beyond) {
        const struct __ptrace_rseq_configuration where = {.rseq_abi_pointer = (uintptr_t)&page->own + beyond,
                                                          .signature = RSEQ_SIG};
        pid_t pid = start_child(end, abort, flags, true), tid = stop_inside();

        criu_rseq_abort(tid, &where);
        return end_child(pid, tid);
}

/* What the kernel would end the process for, or does not lead out. */
static void test_left_alone(void **state) {
        (void)state;
        assert_int_equal(told(sequence_end, sequence_abort, 0, 0), RIGHT);
        assert_int_equal(told(sequence_end, sequence_unmarked, 0, 0), BROKEN);
        assert_int_equal(told(sequence_unmarked, sequence_abort, 0, 0), BROKEN);
        assert_int_equal(told(sequence_end, sequence_abort, RSEQ_CS_FLAG_NO_RESTART_ON_SIGNAL, 0), BROKEN);
        assert_int_equal(told(sequence_end, sequence_abort, 0, UINT64_C(1) << 62),
                         BROKEN); /* there is no memory */
}

static int barrier(int command) {
        return syscall(SYS_membarrier, command, 0, 0) < 0 ? -errno : 0;
}

/* What a child of ours finds if we were started like this. */
static int child_finds(int command) {
        int status;
        pid_t pid = fork();

        if (pid == 0)
                _exit(-barrier(command));
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return -WEXITSTATUS(status);
}

static void test_barriers(void **state) {
        (void)state;
        if (barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == -ENOSYS)
                skip();
        assert_int_equal(unsetenv("CARRYOVER_BARRIERS"), 0);
        register_for_barriers();
        assert_int_equal(child_finds(MEMBARRIER_CMD_PRIVATE_EXPEDITED), -EPERM);
        assert_int_equal(setenv("CARRYOVER_BARRIERS", "all", 1), 0);
        register_for_barriers();
        assert_int_equal(child_finds(MEMBARRIER_CMD_PRIVATE_EXPEDITED), 0);
        assert_int_not_equal(child_finds(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE), -EPERM);
        assert_int_not_equal(child_finds(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ), -EPERM);
}

static int make_page(void **state) {
        page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        *state = page;
        return page == MAP_FAILED ? -1 : 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_asked),
                        cmocka_unit_test(test_left_alone),
                        cmocka_unit_test(test_barriers),
        };

        return cmocka_run_group_tests(tests, make_page, NULL);
}
#endif
