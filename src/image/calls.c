/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * That a thread stands behind its syscall instruction is known from its registers alone: the kernel notes a
 * number in orig_ax only on the way in by a system call, and every other way in (interrupt, exception,
 * return from a signal handler) puts -1 there. The 64 bit instruction is two bytes long, and so is int 0x80;
 * but that one, as all of 32 bit, has numbers of its own and is left alone.
 *
 * Whoever has been told a wrong number here by its own tracer harms itself alone.
 */

#include "image/cure.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "image/internal.h"
#include "model/model.h"

#include "criu-image.pb-c.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Numbers of x86-64. */
#define READ            0u
#define POLL            7u
#define NANOSLEEP       35u
#define FUTEX           202u
#define RESTART_SYSCALL 219u
#define CLOCK_NANOSLEEP 230u
#define TIMER_ABSTIME   1u

/* What can be begun again: nothing of it was done yet, else there would be a count in the place of EINTR. */
static const uint16_t restartable[] = {
                READ,
                POLL,
                19 /* readv */,
                20 /* writev */,
                1 /* write */,
                NANOSLEEP,
                42 /* connect */,
                43 /* accept */,
                44 /* sendto */,
                45 /* recvfrom */,
                46 /* sendmsg */,
                47 /* recvmsg */,
                65 /* semop */,
                128 /* rt_sigtimedwait */,
                FUTEX,
                208 /* io_getevents */,
                220 /* semtimedop */,
                CLOCK_NANOSLEEP,
                232 /* epoll_wait */,
                281 /* epoll_pwait */,
                288 /* accept4 */,
                299 /* recvmmsg */,
                307 /* sendmmsg */,
                441 /* epoll_pwait2 */,
};

/* What the kernel begins again by restart_syscall(2). */
static const uint16_t with_restart_block[] = {POLL, NANOSLEEP, FUTEX, CLOCK_NANOSLEEP};

typedef struct Work {
        ImageRead read;
        void *userdata;
        pid_t tid;
        uint64_t pending; /* to the whole process, as a mask */
        int *left;
} Work;

static bool is_in(const uint16_t *list, size_t n, uint64_t number) {
        for (size_t i = 0; i < n; i++)
                if (list[i] == number)
                        return true;
        return false;
}

static uint64_t mask_of(const ImgSignals *signals) {
        uint64_t mask = 0;

        for (size_t i = 0; signals && i < signals->n_signals; i++) {
                const ProtobufCBinaryData *info = &signals->signals[i]->siginfo;
                uint32_t number;

                if (info->len < sizeof number)
                        continue;
                memcpy(&number, info->data, sizeof number);
                number = le32toh(number);
                if (number >= 1 && number <= 64)
                        mask |= UINT64_C(1) << (number - 1);
        }
        return mask;
}

/* A signal that waits and is not blocked. */
static bool will_be_interrupted(const Work *w, const ImgCore *core) {
        uint64_t pending = w->pending, blocked = 0;

        if (core->tc)
                blocked = core->tc->blk_sigset;
        if (core->thread_core) {
                pending |= mask_of(core->thread_core->signals_p);
                if (core->thread_core->has_blk_sigset)
                        blocked = core->thread_core->blk_sigset;
        }
        return pending & ~blocked;
}

/*
 * The number of a call that was begun again once, by the instructions before: `mov $NR, %eax`, `mov $NR,
 * %rax` or, as glibc 2.41 has it, `mov N(%rsp), %rax`.
 */
static int number_in_code(const Work *w, const ImgRegs *regs, uint64_t *ret) {
        uint8_t code[9]; /* of which the last two are syscall */
        uint32_t number;
        int r;

        if (!w->read || regs->ip < sizeof code)
                return -ENODATA;
        r = w->read(w->tid, regs->ip - sizeof code, code, sizeof code, w->userdata);
        if (r < 0)
                return r;
        if (code[7] != 0x0f || code[8] != 0x05)
                return -ENODATA;
        memcpy(&number, code + 3, sizeof number);
        *ret = le32toh(number);
        if (code[2] == 0xb8 || memcmp(code, "\x48\xc7\xc0", 3) == 0)
                return 0;
        if (memcmp(code + 2, "\x48\x8b\x44\x24", 4) != 0 || code[6] > INT8_MAX)
                return -ENODATA;
        r = w->read(w->tid, regs->sp + code[6], ret, sizeof *ret, w->userdata);
        *ret = le64toh(*ret);
        return r;
}

/* What a sleep was told to write down is in its program's memory by now. */
static void sleep_the_rest(ImgRegs *regs) {
        if (regs->orig_ax == NANOSLEEP && regs->si != 0)
                regs->di = regs->si;
        if (regs->orig_ax == CLOCK_NANOSLEEP && !(regs->si & TIMER_ABSTIME) && regs->r10 != 0)
                regs->dx = regs->r10;
}

static int begin_again(ProtobufCMessage *message, const void *userdata) {
        const ImgCore *core = (const ImgCore *)message;
        const Work *w = userdata;
        ImgRegs *regs = core->thread_info ? core->thread_info->gpregs : NULL;
        uint64_t number;

        if (!regs || (regs->has_mode && regs->mode != 1) || regs->ax != (uint64_t)-EINTR || regs->ip < 2 ||
            will_be_interrupted(w, core))
                return 0;
        if (regs->orig_ax == RESTART_SYSCALL) {
                if (number_in_code(w, regs, &number) < 0 ||
                    !is_in(with_restart_block, ELEMENTS(with_restart_block), number)) {
                        (*w->left)++;
                        return 0;
                }
                regs->orig_ax = number;
        }
        if (!is_in(restartable, ELEMENTS(restartable), regs->orig_ax))
                return 0;
        sleep_the_rest(regs);
        regs->ax = regs->orig_ax;
        regs->ip -= 2;
        return 1;
}

static int note_pending(const ProtobufCMessage *message, void *userdata) {
        const ImgCore *core = (const ImgCore *)message;
        Work *w = userdata;

        w->pending = core->tc ? mask_of(core->tc->signals_s) : 0;
        return 0;
}

static const char *name_of(uint32_t tid, char name[static 32]) {
        snprintf(name, 32, "core-%" PRIu32 ".img", tid);
        return name;
}

static int cure_thread(int images_fd, uint32_t tid, Work *w) {
        char name[32];
        int r;

        w->tid = (pid_t)tid;
        r = image_rewrite(images_fd, name_of(tid, name), IMAGE_CORE, &img_core__descriptor, begin_again, w);
        return r == -ENOENT ? err_say(-EBADMSG, "image %s is missing", name) : r;
}

typedef struct Walk {
        int images_fd;
        Work work;
} Walk;

/* The first thread is the process (see add_ids() in image.c). */
static int cure_process(const ProtobufCMessage *message, void *userdata) {
        const ImgPstree *p = (const ImgPstree *)message;
        Walk *walk = userdata;
        char name[32];
        int r;

        r = image_each_message(walk->images_fd, name_of(p->pid, name), IMAGE_CORE, &img_core__descriptor,
                               note_pending, &walk->work);
        if (r == -ENOENT)
                return err_say(-ENODATA, "image %s is missing", name);
        if (r >= 0)
                r = cure_thread(walk->images_fd, p->pid, &walk->work);
        for (size_t i = 1; r >= 0 && i < p->n_threads; i++)
                r = cure_thread(walk->images_fd, p->threads[i], &walk->work);
        return r < 0 ? err_pass(r) : 0;
}

int image_cure_calls(int images_fd, ImageRead read, void *userdata) {
        int left = 0, r;
        Walk walk = {.images_fd = images_fd, .work = {.read = read, .userdata = userdata, .left = &left}};

        r = image_each_message(images_fd, "pstree.img", IMAGE_PSTREE, &img_pstree__descriptor, cure_process,
                               &walk);
        if (r == -ENOENT)
                return err_say(r, "image pstree.img is missing");
        return r < 0 ? err_pass(r) : left;
}
