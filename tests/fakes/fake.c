/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "tests/fakes/fake.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fault.h"
#include "store/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define EVENTS  4096u
#define STRIKES 8u

/* What a call is told to do. */
typedef struct Strike {
        char event[96];
        unsigned left; /* calls until then */
        int r;         /* 0: die */
        bool struck;
} Strike;

typedef struct Shared {
        FakeMachine machine;
        char events[EVENTS][96];
        size_t n_events;
        Strike strikes[STRIKES];
        size_t n_strikes;
        char struck[96];
} Shared;

static Shared *shared;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of one process: the others are dead or wait */
FakeMachine *fake;
static void (*meanwhile)(void);
static char meanwhile_event[96];

/* A child that ends by _exit() has its part in the coverage. */
void __gcov_dump(void) __attribute__((weak));

static _Noreturn void leave(int status) {
        if (__gcov_dump)
                __gcov_dump();
        _exit(status);
}

static void map_memory(void) {
        shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(shared, MAP_FAILED);
        fake = &shared->machine;
}

void fake_begin(void) {
        if (!shared)
                map_memory();
        memset(shared, 0, sizeof *shared);
        meanwhile = NULL;
        fake->boot = 1;
        fake->lock_skip = true;
        fake->backend = HOLD_NFTABLES;
        fake->answer = -ENOTTY;
}

FakeTree *fake_add_tree(pid_t pid) {
        FakeTree *t = fake->trees + fake->n_trees++;

        assert_true(fake->n_trees <= FAKE_TREES);
        snprintf(t->name, sizeof t->name, "pid-%d", (int)pid);
        t->pid = pid;
        t->start = (uint64_t)pid;
        t->carries = true;
        return t;
}

FakeTree *fake_tree(pid_t pid) {
        for (size_t i = 0; i < fake->n_trees; i++)
                if (fake->trees[i].pid == pid)
                        return fake->trees + i;
        return NULL;
}

void fake_keep(void) {
        Keep *keep = model_new(Keep, keep__init);

        assert_non_null(keep);
        for (size_t i = 0; i < fake->n_trees; i++) {
                char target[64], *copy;

                snprintf(target, sizeof target, "pid:%d@%u", (int)fake->trees[i].pid,
                         (unsigned)fake->trees[i].start);
                copy = strdup(target);
                assert_non_null(copy);
                assert_int_equal(model_append(keep->targets, keep->n_targets, copy), 0);
        }
        assert_int_equal(run_keep_write(keep), 0);
        model_free(keep);
}

static void empty_run(void) {
        int fd = open("/run/carryover", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *e;

        while (d && (e = readdir(d)))
                (void)unlinkat(fd, e->d_name, 0);
        if (d)
                (void)closedir(d);
}

void fake_reboot(void) {
        fake->boot++;
        for (size_t i = 0; i < fake->n_trees; i++)
                fake->trees[i].life = FAKE_DEAD;
        fake->shutdown[0] = fake->started[0] = fake->loaded_cmdline[0] = '\0';
        fake->cancelled = fake->hold = fake->guard_left = fake->loaded = fake->has_key = false;
        fake->n_held = fake->pool = 0;
        empty_run();
}

void fake_soft_reboot(void) {
        fake->soft_reboots++;
        for (size_t i = 0; i < fake->n_trees; i++)
                fake->trees[i].life = FAKE_DEAD;
        fake->shutdown[0] = fake->started[0] = '\0';
        fake->guard_left = false;
}

/* The whole event, or its function; "": any. */
static bool is_of(const char *event, const char *name) {
        size_t l = strlen(name);

        return l == 0 || (strncmp(event, name, l) == 0 && (event[l] == '\0' || event[l] == ' '));
}

static void add_strike(const char *event, unsigned nth, int r) {
        Strike *s = shared->strikes + shared->n_strikes++;

        assert_true(shared->n_strikes <= STRIKES && nth > 0);
        snprintf(s->event, sizeof s->event, "%s", event);
        s->left = nth;
        s->r = r;
        s->struck = false;
}

void fake_fail(const char *event, unsigned nth, int r) {
        assert_true(r < 0);
        add_strike(event, nth, r);
}

void fake_die(const char *event, unsigned nth) {
        add_strike(event, nth, 0);
}

void fake_meanwhile(const char *event, void (*happens)(void)) {
        snprintf(meanwhile_event, sizeof meanwhile_event, "%s", event);
        meanwhile = happens;
}

void fake_heal(void) {
        shared->n_strikes = 0;
        shared->struck[0] = '\0';
}

bool fake_struck(void) {
        for (size_t i = 0; i < shared->n_strikes; i++)
                if (!shared->strikes[i].struck)
                        return false;
        return shared->n_strikes > 0;
}

size_t fake_count(const char *event) {
        size_t n = 0;

        for (size_t i = 0; i < shared->n_events; i++)
                n += is_of(shared->events[i], event);
        return n;
}

int fake_place(const char *event) {
        for (size_t i = 0; i < shared->n_events; i++)
                if (is_of(shared->events[i], event))
                        return (int)i;
        return -1;
}

const char *fake_struck_event(void) {
        return shared->struck;
}

const char *fake_event(size_t i) {
        return i < shared->n_events ? shared->events[i] : NULL;
}

void fake_forget_events(void) {
        shared->n_events = 0;
}

void fake_print_events(void) {
        for (size_t i = 0; i < shared->n_events; i++)
                fprintf(stderr, "%3zu %s\n", i, shared->events[i]);
}

int fake_run(int (*program)(void *userdata), void *userdata) {
        int status;
        pid_t pid;

        fflush(NULL);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                status = program(userdata);
                fflush(NULL);
                leave(status);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFEXITED(status))
                fail_msg("the program was ended by signal %d", WTERMSIG(status));
        return WEXITSTATUS(status);
}

int fake_call(const char *function, const char *format, ...) {
        char *event, subject[64];
        va_list ap;
        int r = 0;

        va_start(ap, format);
        vsnprintf(subject, sizeof subject, format, ap);
        va_end(ap);
        pthread_mutex_lock(&lock);
        event = shared->events[shared->n_events];
        shared->n_events += shared->n_events + 1 < EVENTS;
        snprintf(event, sizeof shared->events[0], "%s%s%s", function, subject[0] ? " " : "", subject);
        for (size_t i = 0; i < shared->n_strikes; i++) {
                Strike *s = shared->strikes + i;

                if (s->struck || !is_of(event, s->event) || --s->left > 0)
                        continue;
                s->struck = true;
                memcpy(shared->struck, event, sizeof shared->struck);
                if (s->r == 0)
                        leave(FAKE_DEAD);
                r = s->r;
        }
        pthread_mutex_unlock(&lock);
        if (meanwhile && is_of(event, meanwhile_event))
                meanwhile();
        return r < 0 ? err_say(r, "%s was told to fail", function) : 0;
}

int fault_point(const char *name) {
        return fake_call("fault_point", "%s", name);
}
