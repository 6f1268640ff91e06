/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Images made here, with what CRIU would bring back wrongly. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "image/cure.h"
#include "image/image.h"
#include "image/internal.h"
#include "tests/unit/syncs.h"

#include "criu-image.pb-c.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define RESTARTED 219
#define CODE      0x401000u
#define STACK     0x7ffe0000u

static char top[] = "/tmp/carryover-test-XXXXXX";
static int dir = -1;

static int set_up(void **state) {
        (void)state;
        memcpy(strrchr(top, '-') + 1, "XXXXXX", 6);
        return mkdtemp(top) && (dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0 ? 0 : -1;
}

static int tear_down(void **state) {
        (void)state;
        dir = fd_close(dir);
        return file_remove_tree(AT_FDCWD, top);
}

static void put_one(const char *name, uint32_t magic, const void *message) {
        _cleanup_(image_writer_done) ImageWriter writer = {0};

        assert_int_equal(image_put_head(&writer, magic), 0);
        assert_int_equal(image_put_message(&writer, message), 0);
        assert_int_equal(file_replace(dir, name, writer.data, writer.size), 0);
}

/* A thread with its registers, its signals and what it blocks. */
typedef struct Thread {
        ImgCore core;
        ImgThread thread;
        ImgRegs regs;
        ImgTask task;
        ImgThreadCore own;
        ImgSignals to_process, to_thread;
        ImgSiginfo info;
        ImgSiginfo *infos[1];
        siginfo_t signal;
} Thread;

static void thread_begin(Thread *t, uint64_t number) {
        *t = (Thread){.core = IMG_CORE__INIT,
                      .thread = IMG_THREAD__INIT,
                      .regs = IMG_REGS__INIT,
                      .task = IMG_TASK__INIT,
                      .own = IMG_THREAD_CORE__INIT,
                      .to_process = IMG_SIGNALS__INIT,
                      .to_thread = IMG_SIGNALS__INIT,
                      .info = IMG_SIGINFO__INIT};
        t->core.thread_info = &t->thread;
        t->core.tc = &t->task;
        t->core.thread_core = &t->own;
        t->thread.gpregs = &t->regs;
        t->regs.ax = (uint64_t)-4;
        t->regs.orig_ax = number;
        t->regs.ip = CODE;
        t->regs.sp = STACK;
        t->infos[0] = &t->info;
        t->info.siginfo = (ProtobufCBinaryData){.len = sizeof t->signal, .data = (uint8_t *)&t->signal};
        t->to_process.signals = t->to_thread.signals = t->infos;
}

static void thread_put(const Thread *t, const char *name) {
        put_one(name, IMAGE_CORE, &t->core);
}

static ImgCore *read_core(const char *name) {
        ProtobufCMessage *message = NULL;

        assert_int_equal(image_first_message(dir, name, IMAGE_CORE, &img_core__descriptor, &message), 0);
        return (ImgCore *)message;
}

static void put_process(uint32_t *threads, size_t n) {
        ImgPstree p = IMG_PSTREE__INIT;

        p.pid = threads[0];
        p.threads = threads;
        p.n_threads = n;
        put_one("pstree.img", IMAGE_PSTREE, &p);
}

static uint8_t code[9];
static uint64_t on_stack;

static int fake_read(pid_t tid, uint64_t address, void *ret, size_t size, void *userdata) {
        (void)userdata;
        if (tid == 100 && address == CODE - sizeof code && size == sizeof code)
                memcpy(ret, code, size);
        else if (tid == 100 && address == STACK + 16 && size == sizeof on_stack)
                memcpy(ret, &on_stack, size);
        else
                return -EFAULT;
        return 0;
}

/* What becomes of one thread alone: the answer of the cure, and whether the call is begun again as
 * `number`. */
static int cure(const Thread *t, uint64_t number, bool *ret_again) {
        _cleanup_(image_message_freep) ProtobufCMessage *message = NULL;
        uint32_t only[] = {100};
        const ImgRegs *regs;
        int left;

        put_process(only, 1);
        thread_put(t, "core-100.img");
        syncs = 0;
        left = image_cure_calls(dir, fake_read, NULL);
        assert_int_equal(syncs, 0); /* a save syncs all images once, not each for each thread */
        message = (ProtobufCMessage *)read_core("core-100.img");
        regs = ((ImgCore *)message)->thread_info->gpregs;
        *ret_again = regs->ax == number && regs->orig_ax == number && regs->ip == CODE - 2;
        if (!*ret_again) { /* then nothing is changed */
                assert_true(regs->ax == t->regs.ax && regs->orig_ax == t->regs.orig_ax);
                assert_true(regs->ip == t->regs.ip);
        }
        assert_int_equal(image_cure_calls(dir, fake_read, NULL), left); /* a second time finds nothing new */
        return left;
}

static void check_again(const Thread *t, uint64_t number) {
        bool again;

        assert_int_equal(cure(t, number, &again), 0);
        assert_true(again);
}

static void check_left(const Thread *t, int left) {
        bool again;

        assert_int_equal(cure(t, 7, &again), left);
        assert_false(again);
}

static void test_calls(void **state) {
        static const uint64_t waits[] = {0, 7, 35, 43, 45, 47, 65, 128, 202, 220, 230, 232, 281, 441};
        Thread t;

        (void)state;
        for (size_t i = 0; i < ELEMENTS(waits); i++) {
                thread_begin(&t, waits[i]);
                check_again(&t, waits[i]);
        }
        t.regs.has_mode = true;
        t.regs.mode = 1;
        check_again(&t, 441);
        t.regs.mode = 2; /* 32 bit */
        check_left(&t, 0);
}

static void test_other_registers(void **state) {
        Thread t;

        (void)state;
        thread_begin(&t, (uint64_t)-1); /* no system call: the program has that value there by itself */
        check_left(&t, 0);
        thread_begin(&t, 3); /* close: it may have closed */
        check_left(&t, 0);
        thread_begin(&t, 7);
        t.regs.ax = 1;
        check_left(&t, 0);
        t.regs.ax = (uint64_t)-514; /* CRIU has begun it again itself, or not */
        check_left(&t, 0);
        thread_begin(&t, 7);
        t.regs.ip = 1;
        check_left(&t, 0);
        thread_begin(&t, 7);
        t.core.thread_info = NULL; /* a zombie, or another architecture */
        put_process((uint32_t[]){100}, 1);
        thread_put(&t, "core-100.img");
        assert_int_equal(image_cure_calls(dir, fake_read, NULL), 0);
}

static void test_pending_signals(void **state) {
        Thread t;

        (void)state;
        thread_begin(&t, 7);
        t.signal.si_signo = SIGWINCH;
        t.to_process.n_signals = 1;
        t.task.signals_s = &t.to_process;
        check_left(&t, 0);
        t.task.blk_sigset = UINT64_C(1) << (SIGWINCH - 1);
        check_again(&t, 7);
        t.own.has_blk_sigset = true; /* the thread's own counts */
        check_left(&t, 0);
        t.own.blk_sigset = t.task.blk_sigset;
        check_again(&t, 7);

        thread_begin(&t, 7);
        t.signal.si_signo = SIGRTMAX;
        t.to_thread.n_signals = 1;
        t.own.signals_p = &t.to_thread;
        check_left(&t, 0);
        t.signal.si_signo = 65; /* there is no such signal */
        check_again(&t, 7);
        t.info.siginfo.len = 3;
        check_again(&t, 7);
}

/* A signal to the process may go to any of its threads. */
static void test_threads(void **state) {
        _cleanup_(image_message_freep) ProtobufCMessage *first = NULL, *second = NULL;
        uint32_t both[] = {100, 101};
        Thread t;

        (void)state;
        put_process(both, 2);
        thread_begin(&t, 7);
        t.signal.si_signo = SIGUSR1;
        t.to_process.n_signals = 1;
        t.task.signals_s = &t.to_process;
        t.own.has_blk_sigset = true;
        t.own.blk_sigset = UINT64_C(1) << (SIGUSR1 - 1);
        thread_put(&t, "core-100.img");
        thread_begin(&t, 232);
        t.core.tc = NULL;
        t.own.has_blk_sigset = true;
        thread_put(&t, "core-101.img");
        assert_int_equal(image_cure_calls(dir, fake_read, NULL), 0);
        first = (ProtobufCMessage *)read_core("core-100.img");
        second = (ProtobufCMessage *)read_core("core-101.img");
        assert_int_equal(((ImgCore *)first)->thread_info->gpregs->ax, 7);
        assert_true(((ImgCore *)second)->thread_info->gpregs->ax == (uint64_t)-4);
}

static void test_sleeps(void **state) {
        static const struct {
                uint64_t number, di, si, dx, r10, to_di, to_dx;
        } cases[] = {
                        {35, 1, 2, 0, 0, 2, 0},  /* nanosleep(1, 2): 2 is what is left */
                        {35, 1, 0, 0, 0, 1, 0},  /* and nobody has asked */
                        {230, 1, 0, 3, 4, 1, 4}, /* clock_nanosleep(1, 0, 3, 4) */
                        {230, 1, 1, 3, 4, 1, 3}, /* until a certain time */
                        {230, 1, 0, 3, 0, 1, 3}, {7, 1, 2, 3, 4, 1, 3},
        };
        Thread t;

        (void)state;
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                _cleanup_(image_message_freep) ProtobufCMessage *message = NULL;
                const ImgRegs *regs;

                thread_begin(&t, cases[i].number);
                t.regs.di = cases[i].di;
                t.regs.si = cases[i].si;
                t.regs.dx = cases[i].dx;
                t.regs.r10 = cases[i].r10;
                check_again(&t, cases[i].number);
                message = (ProtobufCMessage *)read_core("core-100.img");
                regs = ((ImgCore *)message)->thread_info->gpregs;
                assert_int_equal(regs->di, cases[i].to_di);
                assert_int_equal(regs->dx, cases[i].to_dx);
                assert_int_equal(regs->si, cases[i].si);
        }
}

static void code_is(const char *bytes) {
        memcpy(code, bytes, sizeof code);
}

static void test_restarted(void **state) {
        Thread t;

        (void)state;
        thread_begin(&t, RESTARTED);
        code_is("\x90\x90\xb8\x07\0\0\0\x0f\x05");
        check_again(&t, 7);
        code_is("\x48\xc7\xc0\xca\0\0\0\x0f\x05");
        check_again(&t, 202);
        code_is("\x90\x90\x48\x8b\x44\x24\x10\x0f\x05"); /* glibc 2.41 */
        on_stack = 230;
        check_again(&t, 230);
}

static void test_restarted_unknown(void **state) {
        Thread t;

        (void)state;
        thread_begin(&t, RESTARTED);
        code_is("\x90\x90\xb8\x03\0\0\0\x0f\x05"); /* close cannot be begun again by the kernel */
        check_left(&t, 1);
        code_is("\x90\x90\xb8\x07\0\0\0\xcd\x80");
        check_left(&t, 1);
        code_is("\x90\x90\x90\x07\0\0\0\x0f\x05");
        check_left(&t, 1);
        code_is("\x90\x90\x48\x8b\x44\x24\xf0\x0f\x05");
        check_left(&t, 1);
        code_is("\x90\x90\x48\x8b\x44\x24\x18\x0f\x05"); /* where nothing can be read */
        check_left(&t, 1);
        code_is("\x90\x90\x48\x8b\x44\x24\x10\x0f\x05");
        on_stack = UINT64_MAX;
        check_left(&t, 1);
        t.regs.ip = 8;
        check_left(&t, 1);
}

static void test_cut_core(void **state) {
        Thread t;

        (void)state;
        put_process((uint32_t[]){100, 101}, 2);
        thread_begin(&t, 7);
        thread_put(&t, "core-100.img");
        assert_int_equal(image_cure_calls(dir, fake_read, NULL), -EBADMSG); /* core-101.img */
        assert_int_equal(file_replace(dir, "core-101.img", "\x19\x43\x56\x54\x47\x38\x05\x55\xff\0\0\0", 12),
                         0);
        assert_int_equal(image_cure_calls(dir, fake_read, NULL), -EBADMSG);
}

/* files.img with these, in this order. */
static void put_files(ImgFile *const *list, size_t n) {
        _cleanup_(image_writer_done) ImageWriter writer = {0};

        assert_int_equal(image_put_head(&writer, IMAGE_FILES), 0);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(image_put_message(&writer, &list[i]->base), 0);
        assert_int_equal(file_replace(dir, "files.img", writer.data, writer.size), 0);
}

/* What becomes of a timerfd's nanoseconds. */
static uint64_t cure_timerfd(uint64_t ticks, uint64_t vsec, uint64_t vnsec, uint64_t isec, uint64_t insec) {
        _cleanup_(image_message_freep) ProtobufCMessage *message = NULL;
        ImgTimerfd t = IMG_TIMERFD__INIT;
        ImgFile file = IMG_FILE__INIT;
        const ImgTimerfd *now;
        int r;

        file.type = 17;
        file.tfd = &t;
        t.ticks = ticks;
        t.vsec = vsec;
        t.vnsec = vnsec;
        t.isec = isec;
        t.insec = insec;
        put_files((ImgFile *[]){&file}, 1);
        r = image_cure_timers(dir, true);
        assert_int_equal(image_first_message(dir, "files.img", IMAGE_FILES, &img_file__descriptor, &message),
                         0);
        now = ((ImgFile *)message)->tfd;
        assert_int_equal(r, now->vnsec != vnsec);
        assert_true(now->ticks == ticks && now->vsec == vsec && now->isec == isec && now->insec == insec);
        assert_int_equal(image_cure_timers(dir, true), 0);
        return now->vnsec;
}

static void test_timerfds(void **state) {
        (void)state;
        assert_int_equal(cure_timerfd(1, 0, 0, 1, 0), 1);
        assert_int_equal(cure_timerfd(7, 0, 0, 0, 500), 1);
        assert_int_equal(cure_timerfd(0, 0, 0, 1, 0), 0); /* disarmed by its program */
        assert_int_equal(cure_timerfd(1, 0, 0, 0, 0), 0); /* it rings once, and has */
        assert_int_equal(cure_timerfd(1, 2, 0, 1, 0), 0);
        assert_int_equal(cure_timerfd(1, 0, 5, 1, 0), 5);
}

static void test_one_shots(void **state) {
        _cleanup_(image_message_freep) ProtobufCMessage *message = NULL;
        ImgItimer real = IMG_ITIMER__INIT, virt = IMG_ITIMER__INIT, prof = IMG_ITIMER__INIT;
        ImgTimers timers = IMG_TIMERS__INIT;
        const ImgTimers *now;
        Thread t;

        (void)state;
        put_files(NULL, 0);
        thread_begin(&t, 7);
        timers.real = &real;
        timers.virt = &virt; /* not armed */
        timers.prof = &prof;
        real.vsec = 600;
        prof.vusec = 1;
        prof.iusec = 2;
        t.task.timers = &timers;
        thread_put(&t, "core-100.img");
        assert_int_equal(image_cure_timers(dir, true), 0); /* this CRIU can do it */
        assert_int_equal(image_cure_timers(dir, false), 1);
        assert_int_equal(image_cure_timers(dir, false), 0);
        message = (ProtobufCMessage *)read_core("core-100.img");
        now = ((ImgCore *)message)->tc->timers;
        assert_true(now->real->isec >= 1000000000 && now->real->isec <= INT32_MAX);
        assert_int_equal(now->real->vsec, 600);
        assert_true(now->virt->isec == 0 && now->virt->iusec == 0 && now->prof->isec == 0 &&
                    now->prof->iusec == 2);
}

/* One end of a connection, and its queue of ten bytes, of which three were never sent. */
static void make_end(ImgFile *file, ImgInetSocket *socket, uint32_t ino, uint32_t port,
                     uint32_t remote_port) {
        _cleanup_(image_writer_done) ImageWriter writer = {0};
        static uint32_t local = 0x0100007f, remote = 0x0200007f;
        ImgTcpStream stream = IMG_TCP_STREAM__INIT;
        char name[40];

        *file = (ImgFile)IMG_FILE__INIT;
        *socket = (ImgInetSocket)IMG_INET_SOCKET__INIT;
        file->type = 4;
        file->id = socket->ino = ino;
        file->inet = socket;
        socket->family = AF_INET;
        socket->proto = IPPROTO_TCP;
        socket->state = 8; /* CLOSE_WAIT: it may have something to send */
        socket->local_port = port;
        socket->remote_port = remote_port;
        socket->n_local = socket->n_remote = 1;
        socket->local = port == 7000 ? &local : &remote;
        socket->remote = port == 7000 ? &remote : &local;
        stream.outq_len = 10;
        stream.has_unsq_len = true;
        stream.unsq_len = 3;
        assert_int_equal(image_put_head(&writer, IMAGE_TCP_STREAM), 0);
        assert_int_equal(image_put_message(&writer, &stream.base), 0);
        assert_int_equal(image_put(&writer, "0123456789", 10), 0);
        snprintf(name, sizeof name, "tcp-stream-%x.img", ino);
        assert_int_equal(file_replace(dir, name, writer.data, writer.size), 0);
}

static uint32_t unsent(const char *name) {
        _cleanup_(image_message_freep) ProtobufCMessage *message = NULL;
        _cleanup_(image_close) Image image = {0};
        char queue[10];

        assert_int_equal(image_open(dir, name, &image), 0);
        assert_int_equal(image_expect(&image, IMAGE_TCP_STREAM), 0);
        assert_int_equal(image_next_message(&image, &img_tcp_stream__descriptor, &message), 0);
        assert_int_equal(image_left(&image), sizeof queue);
        assert_int_equal(fread(queue, 1, sizeof queue, image.file), sizeof queue);
        assert_memory_equal(queue, "0123456789", sizeof queue);
        assert_int_equal(((ImgTcpStream *)message)->outq_len, 10);
        return ((ImgTcpStream *)message)->unsq_len;
}

static void test_loopback(void **state) {
        ImgFile files[3];
        ImgInetSocket sockets[3];

        (void)state;
        make_end(files, sockets, 0x1a, 7000, 40000);
        make_end(files + 1, sockets + 1, 0x1b, 40000, 7000);
        make_end(files + 2, sockets + 2, 0x1c, 7000, 40001); /* of another tree's */
        put_files((ImgFile *[]){files, files + 1, files + 2}, 3);
        assert_int_equal(image_cure_loopback(dir), 2);
        assert_int_equal(unsent("tcp-stream-1a.img"), 0);
        assert_int_equal(unsent("tcp-stream-1b.img"), 0);
        assert_int_equal(unsent("tcp-stream-1c.img"), 3);
        assert_int_equal(image_cure_loopback(dir), 0);

        assert_int_equal(unlinkat(dir, "tcp-stream-1a.img", 0), 0); /* closed */
        assert_int_equal(image_cure_loopback(dir), 0);
        sockets[1].remote_port = 65536;
        put_files((ImgFile *[]){files, files + 1}, 2);
        assert_int_equal(image_cure_loopback(dir), -EBADMSG);
        sockets[1].remote_port = 7000;
        sockets[1].n_remote = 0;
        put_files((ImgFile *[]){files, files + 1}, 2);
        assert_int_equal(image_cure_loopback(dir), -EBADMSG);
}

#define MAPS_MAX 8

typedef struct Map {
        uint64_t start, end;
        uint32_t flags;
        uint64_t madv;
} Map;

static void put_maps(const char *name, const Map *maps, size_t n) {
        ImgVma vmas[MAPS_MAX], *list[MAPS_MAX];
        ImgMm mm = IMG_MM__INIT;

        assert_true(n <= MAPS_MAX);
        for (size_t i = 0; i < n; i++) {
                list[i] = vmas + i;
                vmas[i] = (ImgVma)IMG_VMA__INIT;
                vmas[i].start = maps[i].start;
                vmas[i].end = maps[i].end;
                vmas[i].flags = maps[i].flags;
                vmas[i].has_madv = maps[i].madv > 0;
                vmas[i].madv = maps[i].madv;
        }
        mm.n_vmas = n;
        mm.vmas = list;
        put_one(name, IMAGE_MM, &mm);
}

/* What the image has, with these flags and this advice by now. */
static void expect_maps(const char *name, const Map *maps, size_t n) {
        _cleanup_(image_message_freep) ProtobufCMessage *message = NULL;
        const ImgMm *mm;

        assert_int_equal(image_first_message(dir, name, IMAGE_MM, &img_mm__descriptor, &message), 0);
        mm = (const ImgMm *)message;
        assert_int_equal(mm->n_vmas, n);
        for (size_t i = 0; i < n; i++) {
                assert_int_equal(mm->vmas[i]->flags, maps[i].flags);
                assert_int_equal(mm->vmas[i]->madv, maps[i].madv);
                assert_int_equal(mm->vmas[i]->has_madv, maps[i].madv > 0);
        }
}

static int fake_wiped(pid_t pid, ImageRange **ret, size_t *ret_n, void *userdata) {
        (void)userdata;
        static const ImageRange ranges[] = {{0x2000, 0x4000}, {0x8000, 0x9000}};

        *ret = NULL;
        *ret_n = 0;
        if (pid == 101)
                return -EACCES;
        if (pid != 100)
                return 0;
        *ret = malloc(sizeof ranges);
        memcpy(*ret, ranges, sizeof ranges);
        *ret_n = ELEMENTS(ranges);
        return 0;
}

static void test_wiped(void **state) {
        static const uint64_t wiped = 1 << 18, dump = 1 << 16; /* MADV_DONTDUMP stays */
        Map maps[] =
                        {
                                        {0x1000, 0x2000, 0x22, 0}, {0x2000, 0x3000, 0x4022, dump},
                                        {0x3000, 0x4000, 0x22, 0}, {0x4000, 0x5000, 0x22, 0},
                                        {0x8000, 0x9000, 0x21, 0}, /* shared: the kernel would refuse it */
                        };

        (void)state;
        put_maps("mm-100.img", maps, ELEMENTS(maps));
        put_process((uint32_t[]){100}, 1);
        assert_int_equal(image_cure_maps(dir, fake_wiped, NULL, UINT64_MAX), 1);
        assert_int_equal(image_cure_maps(dir, fake_wiped, NULL, UINT64_MAX), 0);
        maps[1].madv |= wiped;
        maps[2].madv = wiped;
        expect_maps("mm-100.img", maps, ELEMENTS(maps));

        put_process((uint32_t[]){102}, 1); /* has nothing of the kind, and is a zombie: no image */
        assert_int_equal(image_cure_maps(dir, fake_wiped, NULL, UINT64_MAX), 0);
        put_process((uint32_t[]){101}, 1);
        assert_int_equal(image_cure_maps(dir, fake_wiped, NULL, UINT64_MAX), -EACCES);
}

static void test_reserved(void **state) {
        Map maps[] = {
                        {0x1000, 0x9000, 0x22, 0},      /* anonymous */
                        {0x9000, 0x10000, 0x22, 0},     /* not too large */
                        {0x10000, 0x19000, 0x2, 0},     /* of a file */
                        {0x20000, 0x29000, 0x21, 0},    /* shared memory is reserved page by page */
                        {0x30000, 0x39000, 0x40022, 0}, /* huge pages */
                        {0x40000, 0x49000, 0x4022, 0},  /* nothing is reserved for it anyway */
                        {0x60000, 0x50000, 0x22, 0},    /* no mapping ends before it begins */
        };

        (void)state;
        put_maps("mm-100.img", maps, ELEMENTS(maps));
        put_process((uint32_t[]){100}, 1);
        assert_int_equal(image_cure_maps(dir, NULL, NULL, 0x7000), 1);
        assert_int_equal(image_cure_maps(dir, NULL, NULL, 0x7000), 0);
        maps[0].flags |= MAP_NORESERVE;
        maps[2].flags |= MAP_NORESERVE;
        expect_maps("mm-100.img", maps, ELEMENTS(maps));
}

static void test_huge_pages(void **state) {
        Map maps[] = {
                        {0, 4 << 20, 0x40022, 0},                   /* of the default size */
                        {4 << 20, 8 << 20, 0x40022 | 21u << 26, 0}, /* 2 MiB */
                        {8 << 20, (10 << 20) - 4096, 0x40021 | 21u << 26, 0},
                        {16 << 20, 32 << 20, 0x22, 0}, /* ordinary memory */
        };
        uint64_t found[IMAGE_HUGE_SIZES];
        ImgMemfd file = IMG_MEMFD__INIT;

        (void)state;
        put_maps("mm-100.img", maps, ELEMENTS(maps));
        assert_int_equal(image_huge_pages(dir, found), 0);
        assert_int_equal(found[0], 4 << 20);
        assert_int_equal(found[21], 6 << 20);
        file.size = 1;
        file.has_hugetlb_flag = true;
        file.hugetlb_flag = 30u << 26;
        put_one("memfd.img", IMAGE_MEMFD, &file);
        put_maps("mm-101.img", maps, ELEMENTS(maps));
        assert_int_equal(image_huge_pages(dir, found), 0);
        assert_int_equal(found[21], 12 << 20);
        assert_int_equal(found[30], 1 << 30);
        assert_int_equal(found[1], 0);

        maps[0].end = UINT64_MAX; /* sums that no number holds */
        maps[1].start = 0;
        maps[1].end = UINT64_MAX;
        put_maps("mm-100.img", maps, ELEMENTS(maps));
        assert_int_equal(image_huge_pages(dir, found), 0);
        assert_true(found[0] == UINT64_MAX && found[21] > UINT64_MAX - (4 << 20));
        maps[1].start = 5;
        maps[1].end = 4;
        put_maps("mm-100.img", maps, ELEMENTS(maps));
        assert_int_equal(image_huge_pages(dir, found), -EBADMSG);
}

static void test_no_files(void **state) {
        (void)state;
        assert_int_equal(image_cure_timers(dir, false), -ENOENT);
        assert_int_equal(image_cure_loopback(dir), -ENOENT);
        assert_int_equal(image_cure_maps(dir, fake_wiped, NULL, UINT64_MAX), -ENOENT);
        put_process((uint32_t[]){100}, 1);
        assert_int_equal(image_cure_maps(dir, fake_wiped, NULL, UINT64_MAX), -ENODATA);
}

/* One that has been hung up, one that CRIU makes itself, and one that has settings. */
static void test_hung_up(void **state) {
        _cleanup_(image_message_freep) ProtobufCMessage *message = NULL;
        ImgTtyInfo info = IMG_TTY_INFO__INIT;
        ImgWinsize size = IMG_WINSIZE__INIT;
        const ImgTtyInfo *cured;

        (void)state;
        assert_int_equal(image_cure_hung_up(dir), 0); /* no terminal at all */
        info.type = 1;
        put_one("tty-info.img", IMAGE_TTY_INFO, &info);
        assert_int_equal(image_cure_hung_up(dir), 0);
        info.type = 5;
        info.winsize = &size;
        put_one("tty-info.img", IMAGE_TTY_INFO, &info);
        assert_int_equal(image_cure_hung_up(dir), 0);
        info.winsize = NULL;
        put_one("tty-info.img", IMAGE_TTY_INFO, &info);
        assert_int_equal(image_cure_hung_up(dir), 1);
        assert_int_equal(image_cure_hung_up(dir), 0);
        assert_int_equal(image_first_message(dir, "tty-info.img", IMAGE_TTY_INFO, &img_tty_info__descriptor,
                                             &message),
                         0);
        cured = (const ImgTtyInfo *)message;
        assert_int_equal(cured->termios->n_c_cc, 19);
        assert_int_equal(cured->termios_locked->n_c_cc, 19);
        assert_non_null(cured->winsize);
}

/* The two ends of a pty, in this order. */
static void put_ends(unsigned one, unsigned other) {
        _cleanup_(image_writer_done) ImageWriter writer = {0};
        ImgTtyPty pty = IMG_TTY_PTY__INIT;

        assert_int_equal(image_put_head(&writer, IMAGE_TTY_INFO), 0);
        for (unsigned i = 0; i < 2; i++) {
                ImgTtyInfo info = IMG_TTY_INFO__INIT;

                info.id = 7 + i;
                info.rdev = i == 0 ? one : other;
                info.type = 1;
                info.pty = &pty;
                info.sid = 100;
                assert_int_equal(image_put_message(&writer, &info.base), 0);
        }
        assert_int_equal(file_replace(dir, "tty-info.img", writer.data, writer.size), 0);
}

static int append_id(const ProtobufCMessage *message, void *userdata) {
        char **at = userdata;

        *(*at)++ = (char)('0' + ((const ImgTtyInfo *)message)->id);
        return 0;
}

static void order_is(const char *ids) {
        char found[8] = "", *at = found;

        assert_int_equal(image_each_message(dir, "tty-info.img", IMAGE_TTY_INFO, &img_tty_info__descriptor,
                                            append_id, &at),
                         0);
        assert_string_equal(found, ids);
}

/* CRIU takes the first two open files of a pty for its two ends: the master has to be one of them. */
static void test_masters_first(void **state) {
        const unsigned master = 5u << 8 | 2, slave = 136u << 8;

        (void)state;
        put_one("files.img", IMAGE_FILES, &(ImgFile)IMG_FILE__INIT);
        put_ends(master, slave);
        assert_int_equal(image_fix_terminals(dir), 0);
        order_is("78");
        put_ends(slave, master);
        assert_int_equal(image_fix_terminals(dir), 1);
        order_is("87");
        assert_int_equal(image_fix_terminals(dir), 0);
}

/* What is open loses its build id, what is only mapped keeps it. */
static void test_offsets(void **state) {
        ImgFdinfo descriptor = IMG_FDINFO__INIT;
        _cleanup_(image_writer_done) ImageWriter writer = {0};
        _cleanup_(image_message_freep) ProtobufCMessage *message = NULL;
        ImgFown fown = IMG_FOWN__INIT;
        uint32_t words[] = {0xc0ffee, 5};

        (void)state;
        assert_int_equal(image_put_head(&writer, IMAGE_FILES), 0);
        for (uint32_t id = 7; id < 9; id++) {
                ImgRegFile reg = IMG_REG_FILE__INIT;
                ImgFile file = IMG_FILE__INIT;

                reg.id = file.id = id;
                reg.name = (char *)"/usr/bin/true";
                reg.fown = &fown;
                reg.build_id = words;
                reg.n_build_id = ELEMENTS(words);
                file.type = 1;
                file.reg = &reg;
                assert_int_equal(image_put_message(&writer, &file.base), 0);
        }
        assert_int_equal(file_replace(dir, "files.img", writer.data, writer.size), 0);
        assert_int_equal(image_cure_offsets(dir), 0); /* nothing is open */
        descriptor.id = 7;
        put_one("fdinfo-2.img", IMAGE_FDINFO, &descriptor);
        assert_int_equal(image_cure_offsets(dir), 1);
        assert_int_equal(image_first_message(dir, "files.img", IMAGE_FILES, &img_file__descriptor, &message),
                         0);
        assert_int_equal(((const ImgFile *)message)->id, 7);
        assert_int_equal(((const ImgFile *)message)->reg->n_build_id, 0);
        assert_int_equal(image_cure_offsets(dir), 0);
        descriptor.id = 8;
        put_one("fdinfo-3.img", IMAGE_FDINFO, &descriptor);
        assert_int_equal(image_cure_offsets(dir), 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_calls, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_other_registers, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_pending_signals, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_sleeps, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_restarted, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_restarted_unknown, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_cut_core, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_timerfds, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_one_shots, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_loopback, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_wiped, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_reserved, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_huge_pages, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_hung_up, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_masters_first, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_offsets, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_no_files, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
